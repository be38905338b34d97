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

// TestKilledUpload kills a run alone, and a batch submit over a shared Redis, between the upload of one file and the enqueueing of
// its row, while another file is on its way. The same command again uploads only that one.
func TestKilledUpload(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"run": {"run", "q.csv", "-o", "out.jsonl"}, "batch submit": {"batch", "submit", "q.csv"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &processes{dir: t.TempDir(), fake: cozetest.New(t, cozetest.WithRules(
				cozetest.Rule{On: "upload", Nth: 2, Fault: cozetest.Fault{Kind: cozetest.Stall}},
			))}
			for name, content := range map[string]string{
				"a.pdf": "%PDF-1.7 a", "b.pdf": "%PDF-1.7 b", "q.csv": "question,file\nWhat is a?,a.pdf\nWhat is b?,b.pdf\n",
			} {
				if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			noted := func() bool {
				journal, _ := os.ReadFile(filepath.Join(p.dir, "out.jsonl.partial"))
				return bytes.Contains(journal, []byte(`"cozeq":"upload"`))
			}
			if name != "run" {
				srv := redistest.Start(t)
				p.redis = srv.URL()
				noted = func() bool { return len(redistest.Keys(t, srv.Client(), "cozeq:upload:*")) > 0 }
			}
			killed := p.start(t, args...)
			for end := time.Now().Add(patience); !noted() || p.fake.Calls("/v1/files/upload") < 2; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					p.kill(killed)
					t.Fatal("no upload was noted")
				}
			}
			p.kill(killed)
			if n := p.fake.Accepted(); n != 0 {
				t.Errorf("%d questions were asked before all files were uploaded", n)
			}
			out, err := p.command(t, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("again: %v\n%s", err, out)
			}
			if n := p.fake.Calls("/v1/files/upload"); n != 3 {
				t.Errorf("%d uploads, want that of one file, and two of the one that was on its way", n)
			}
			if name == "run" && p.fake.Accepted() != 2 {
				t.Errorf("%d questions were asked", p.fake.Accepted())
			}
		})
	}
}
