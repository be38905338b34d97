package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestSoakMillion answers a million questions, COZEQ_SOAK_ROWS for another number, with a Coze that answers at once: alone,
// and over a shared Redis with one worker. It prints the time and the memory of each.
func TestSoakMillion(t *testing.T) {
	if os.Getenv("COZEQ_SOAK") == "" {
		t.Skip("make soak runs it")
	}
	rows := 1_000_000
	if text := os.Getenv("COZEQ_SOAK_ROWS"); text != "" {
		var err error
		if rows, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("alone", func(t *testing.T) { millionRun(t, rows, nil) })
	t.Run("shared", func(t *testing.T) {
		// Without persistence, as what its disk takes is not what is asked here.
		millionRun(t, rows, redistest.Start(t))
	})
}

// maxRunRSS is what a run may take of memory, however many rows its input has.
const maxRunRSS = 150 << 20

func millionRun(t *testing.T, rows int, rdb *redistest.Server) {
	p := &processes{dir: t.TempDir(), fake: cozetest.New(t, cozetest.With(cozetest.Config{KeepLog: -1, Forget: time.Minute}))}
	p.questions(t, rows)
	if rdb != nil {
		p.serve(t, rdb.URL())
	}

	run := p.command(t, "run", "q.jsonl", "-o", "out.jsonl")
	began := time.Now()
	tenths := p.tenths(t, rows)
	out, err := run.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rss := run.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 // in KiB on Linux
	fmt.Printf("%d rows in %v, %.0f a second; peak RSS of run %d MiB", rows, took.Round(time.Second), float64(rows)/took.Seconds(), rss>>20)
	if rdb != nil {
		fmt.Printf("; peak memory of Redis %s", redisPeak(t, rdb))
	}
	select {
	case <-time.After(time.Second): // not all were asked
	case marks := <-tenths:
		tenth := float64(rows / 10)
		fmt.Printf("; second tenth %.0f a second, last %.0f", tenth/marks[1].Sub(marks[0]).Seconds(), tenth/marks[9].Sub(marks[8]).Seconds())
	}
	fmt.Println()
	if rss > maxRunRSS {
		t.Errorf("the run took %d MiB, want at most %d", rss>>20, maxRunRSS>>20)
	}
	if asked, repeated := p.fake.Accepted(), p.fake.Repeats(); asked != rows || repeated != 0 {
		t.Errorf("%d chats for %d questions, of which %d were asked again", asked, rows, repeated)
	}
	p.checkOutput(t, rows)
}

// tenths sends the times at which each tenth of the questions had been asked. The first one has the ramp of the rate in it.
func (p *processes) tenths(t *testing.T, rows int) <-chan []time.Time {
	sent := make(chan []time.Time, 1)
	go func() {
		var marks []time.Time
		for tick := time.NewTicker(20 * time.Millisecond); len(marks) < 10; {
			select {
			case <-t.Context().Done():
				return
			case <-tick.C:
			}
			if p.fake.Accepted() >= (len(marks)+1)*(rows/10) {
				marks = append(marks, time.Now())
			}
		}
		sent <- marks
	}()
	return sent
}

func redisPeak(t *testing.T, rdb *redistest.Server) string {
	t.Helper()
	info, err := rdb.Client().Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if peak, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory_peak_human:"); ok {
			return peak
		}
	}
	t.Fatalf("no peak in\n%s", info)
	return ""
}
