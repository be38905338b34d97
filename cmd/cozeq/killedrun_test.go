package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
)

// A run that is killed three times on its way asks each question once, and its output is complete and in order: alone,
// where its worker dies with it, and over a shared Redis.
func TestKilledRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills and restarts programs")
	}
	killedRun(t, 800)
}

// TestSoakKilledRun is the same with 100,000 questions.
func TestSoakKilledRun(t *testing.T) {
	if os.Getenv("COZEQ_SOAK") == "" {
		t.Skip("make soak runs it")
	}
	killedRun(t, 100_000)
}

func killedRun(t *testing.T, rows int) {
	var questions bytes.Buffer
	for n := 1; n <= rows; n++ {
		fmt.Fprintf(&questions, `{"custom_id":"row-%d","question":"question %d"`, n, n)
		if n%10 == 0 {
			fmt.Fprintf(&questions, `,"conversation_key":"talk %d"`, n/50)
		}
		questions.WriteString("}\n")
	}
	for _, shared := range []bool{false, true} {
		t.Run(map[bool]string{false: "alone", true: "shared"}[shared], func(t *testing.T) {
			t.Parallel()
			p := &processes{dir: t.TempDir(), fake: cozetest.New(t, cozetest.With(cozetest.Config{
				Latency: 10 * time.Millisecond, KeepLog: -1,
			}))}
			if err := os.WriteFile(filepath.Join(p.dir, "q.jsonl"), questions.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if shared {
				p.serve(t, redistest.Start(t).URL())
			}
			p.runKilled(t, rows)
		})
	}
}

// runKilled runs q.jsonl, which has that many rows, and kills the run after each quarter.
func (p *processes) runKilled(t *testing.T, rows int) {
	for quarter := 1; quarter <= 3; quarter++ {
		var said bytes.Buffer
		run := p.command(t, "run", "q.jsonl", "-o", "out.jsonl")
		run.Stdout, run.Stderr = &said, &said
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = run.Wait()
		}()
		for p.fake.Accepted() < quarter*rows/4 {
			select {
			case <-ended:
				t.Fatalf("the run has ended after %d of %d questions: %s", p.fake.Accepted(), rows, &said)
			case <-time.After(time.Millisecond):
			}
		}
		_ = run.Process.Kill()
		<-ended
	}
	out, err := p.command(t, "run", "q.jsonl", "-o", "out.jsonl").CombinedOutput()
	if err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	if asked, repeated := p.fake.Accepted(), p.fake.Repeats(); asked != rows || repeated != 0 {
		t.Errorf("%d chats for %d questions, of which %d were asked again", asked, rows, repeated)
	}
	id := p.checkOutput(t, rows)
	if p.redis == "" {
		return
	}
	if out, err := p.command(t, "batch", "verify", id, "out.jsonl").CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err = p.command(t, "batch", "status", id).Output()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("\ncompleted\t%d\n", rows)) {
		t.Errorf("status: %v\n%s", err, out)
	}
}
