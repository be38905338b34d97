package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
)

// BenchmarkRunAlone compares the CPU that a row costs in a run alone, on the embedded store, with what it costs in a run and a
// worker on a real Redis together, without that of Redis. Coze answers at once. The two take turns: a machine is not
// equally fast from one second to the next.
func BenchmarkRunAlone(b *testing.B) {
	for _, deltas := range []int{20, 200} {
		b.Run(fmt.Sprint("deltas=", deltas), func(b *testing.B) {
			const rows = 8_000
			turns := benchTurns(3)
			p := benchProcesses(b, cozetest.Config{KeepLog: -1, Forget: time.Minute, Deltas: deltas, Answer: longAnswer})
			redis := redistest.Start(b).URL()
			var alone, shared spent
			n := 0
			for b.Loop() {
				for range turns {
					n += rows
					p.redis = ""
					alone.add(p.steady(b, rows, func() spent { return p.run(b, fast...) }))
					p.redis = redis
					shared.add(p.steady(b, rows, func() spent { return p.runWithWorker(b) }))
				}
			}
			b.ReportMetric(float64(alone.cpu.Microseconds())/float64(n), "alone-us/row")
			b.ReportMetric(float64(shared.cpu.Microseconds())/float64(n), "redis-us/row")
			b.ReportMetric(float64(alone.cpu)/float64(shared.cpu), "ratio")
			b.ReportMetric(float64(n)/alone.took.Seconds(), "alone-rows/s")
			b.ReportMetric(float64(n)/shared.took.Seconds(), "redis-rows/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkRunHeld holds 500 chats of a second in a run alone: 500 rows a second are possible, and the rest is idle
// waiting.
func BenchmarkRunHeld(b *testing.B) {
	const rows, chats = 15_000, 500
	p := benchProcesses(b, cozetest.Config{KeepLog: -1, Forget: time.Minute, Latency: time.Second, Deltas: 20})
	var held spent
	n := 0
	for b.Loop() {
		n += rows
		held.add(p.steady(b, rows, func() spent { return p.run(b, append(fast, "--concurrency", strconv.Itoa(chats))...) }))
	}
	b.ReportMetric(float64(n)/held.took.Seconds(), "rows/s")
	b.ReportMetric(held.cpu.Seconds()/held.took.Seconds(), "cores")
	b.ReportMetric(float64(held.cpu.Microseconds())/float64(n), "us/row")
	b.ReportMetric(0, "ns/op")
}

// spent is what runs have taken.
type spent struct{ cpu, took time.Duration }

func (s *spent) add(other spent) { s.cpu, s.took = s.cpu+other.cpu, s.took+other.took }

// benchTurns is how often the two sides of a benchmark take turns. make bench-ratios is content with one.
func benchTurns(n int) int {
	if testing.Short() {
		return 1
	}
	return n
}

// longAnswer has enough text for as many deltas as a benchmark wants.
func longAnswer(question string) string {
	return fmt.Sprintf("%s: %0400d", question, 0)
}

func benchProcesses(b *testing.B, c cozetest.Config) *processes {
	return &processes{dir: b.TempDir(), fake: cozetest.New(b, cozetest.With(c))}
}

// steady is what so many rows take in the middle of a run: what a run of them and of some more takes beyond a run of the
// latter, which has the same start and the same end.
func (p *processes) steady(b *testing.B, rows int, run func() spent) spent {
	b.Helper()
	const few = 2_000
	p.questions(b, few)
	less := run()
	p.questions(b, few+rows)
	more := run()
	return spent{more.cpu - less.cpu, more.took - less.took}
}

// fast is a rate from which the limiter has nothing to learn.
var fast = []string{"--rate", "10000/s"}

// run answers the file, and returns the CPU and the time that the run took.
func (p *processes) run(b *testing.B, args ...string) spent {
	b.Helper()
	run := p.command(b, append([]string{"run", "q.jsonl", "-o", "out.jsonl", "--force"}, args...)...)
	began := time.Now()
	if out, err := run.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return spent{cpuOf(run), time.Since(began)}
}

// runWithWorker answers the file, and returns the CPU of the run and of a worker, and the time that the run took.
func (p *processes) runWithWorker(b *testing.B) spent {
	b.Helper()
	worker := p.command(b, append([]string{"worker", "--http", "off"}, fast...)...)
	if err := worker.Start(); err != nil {
		b.Fatal(err)
	}
	s := p.run(b)
	_ = worker.Process.Signal(syscall.SIGTERM)
	if err := worker.Wait(); err != nil {
		b.Fatal(err)
	}
	s.cpu += cpuOf(worker)
	return s
}

func cpuOf(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
