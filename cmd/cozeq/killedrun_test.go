package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
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
			k := &killed{dir: t.TempDir(), rows: rows, fake: cozetest.New(t, cozetest.With(cozetest.Config{
				Latency: 10 * time.Millisecond, KeepLog: -1,
			}))}
			if err := os.WriteFile(filepath.Join(k.dir, "q.jsonl"), questions.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if shared {
				k.redis = redistest.Start(t).URL()
				worker := k.start(t, "worker", "--http", "off", "--drain", "0s")
				t.Cleanup(func() { k.kill(worker) })
			}
			k.run(t)
		})
	}
}

// killed is a run that is killed.
type killed struct {
	dir   string
	rows  int
	redis string // "" = it works alone
	fake  *cozetest.Server
}

func (k *killed) command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "cozeq", args...)
	cmd.Dir = k.dir
	cmd.Env = append(os.Environ(), "REDIS_URL="+k.redis, "COZE_API_BASE="+k.fake.URL, "COZE_API_TOKEN=token", "COZE_BOT_ID=bot")
	return cmd
}

func (k *killed) start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := k.command(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func (k *killed) kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it fails only where the process has ended
	_ = cmd.Wait()         // and "signal: killed" is how it should end
}

func (k *killed) run(t *testing.T) {
	for quarter := 1; quarter <= 3; quarter++ {
		run := k.start(t, "run", "q.jsonl", "-o", "out.jsonl")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = run.Wait()
		}()
		for k.fake.Accepted() < quarter*k.rows/4 {
			select {
			case <-ended:
				t.Fatalf("the run has ended after %d of %d questions", k.fake.Accepted(), k.rows)
			case <-time.After(time.Millisecond):
			}
		}
		_ = run.Process.Kill()
		<-ended
	}
	out, err := k.command(t, "run", "q.jsonl", "-o", "out.jsonl").CombinedOutput()
	if err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	if asked, repeated := k.fake.Accepted(), k.fake.Repeats(); asked != k.rows || repeated != 0 {
		t.Errorf("%d chats for %d questions, of which %d were asked again", asked, k.rows, repeated)
	}
	id := k.check(t)
	if k.redis == "" {
		return
	}
	if out, err := k.command(t, "batch", "verify", id, "out.jsonl").CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err = k.command(t, "batch", "status", id).Output()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("\ncompleted\t%d\n", k.rows)) {
		t.Errorf("status: %v\n%s", err, out)
	}
}

// check reads the output and returns the run's name.
func (k *killed) check(t *testing.T) (id string) {
	t.Helper()
	f, err := os.Open(filepath.Join(k.dir, "out.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		n++
		var r results.Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if r.CustomID != fmt.Sprintf("row-%d", n) || !strings.Contains(r.Answer, fmt.Sprintf(`"question %d"`, n)) {
			t.Fatalf("line %d is %s", n, lines.Bytes())
		}
		id, _, _ = strings.Cut(r.ID, "-")
	}
	if n != k.rows {
		t.Errorf("%d records, want %d", n, k.rows)
	}
	return id
}
