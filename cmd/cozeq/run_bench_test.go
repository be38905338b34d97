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
			const rows = 3_000
			turns := benchTurns(3)
			p := benchProcesses(b, rows, cozetest.Config{KeepLog: -1, Forget: time.Minute, Deltas: deltas, Answer: longAnswer})
			redis := redistest.Start(b).URL()
			var alone, shared struct{ cpu, took time.Duration }
			n := 0
			for b.Loop() {
				for range turns {
					n += rows
					p.redis = ""
					cpu, took := p.run(b, fast...)
					alone.cpu, alone.took = alone.cpu+cpu, alone.took+took

					p.redis = redis
					worker := p.command(b, append([]string{"worker", "--http", "off"}, fast...)...)
					if err := worker.Start(); err != nil {
						b.Fatal(err)
					}
					cpu, took = p.run(b)
					shared.took += took
					_ = worker.Process.Signal(syscall.SIGTERM)
					if err := worker.Wait(); err != nil {
						b.Fatal(err)
					}
					shared.cpu += cpu + cpuOf(worker)
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
	p := benchProcesses(b, rows, cozetest.Config{KeepLog: -1, Forget: time.Minute, Latency: time.Second, Deltas: 20})
	var cpu, took time.Duration
	n := 0
	for b.Loop() {
		n += rows
		c, t := p.run(b, append(fast, "--concurrency", strconv.Itoa(chats))...)
		cpu, took = cpu+c, took+t
	}
	b.ReportMetric(float64(n)/took.Seconds(), "rows/s")
	b.ReportMetric(cpu.Seconds()/took.Seconds(), "cores")
	b.ReportMetric(float64(cpu.Microseconds())/float64(n), "us/row")
	b.ReportMetric(0, "ns/op")
}

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

func benchProcesses(b *testing.B, rows int, c cozetest.Config) *processes {
	p := &processes{dir: b.TempDir(), fake: cozetest.New(b, cozetest.With(c))}
	p.questions(b, rows)
	return p
}

// fast is a rate from which the limiter has nothing to learn.
var fast = []string{"--rate", "10000/s"}

// run answers the file, and returns the CPU and the time that the run took.
func (p *processes) run(b *testing.B, args ...string) (cpu, took time.Duration) {
	b.Helper()
	run := p.command(b, append([]string{"run", "q.jsonl", "-o", "out.jsonl", "--force"}, args...)...)
	began := time.Now()
	if out, err := run.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return cpuOf(run), time.Since(began)
}

func cpuOf(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
