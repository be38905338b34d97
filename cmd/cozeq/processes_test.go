package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/results"
)

// processes are those of a test that starts cozeq as its users do, in one directory and with
// one fake of Coze. The test kills and restarts them.
type processes struct {
	dir   string
	redis string // its URL; "" = a run works alone
	fake  *cozetest.Server
	env   []string // more of it
}

func (p *processes) command(t testing.TB, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "cozeq", args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "REDIS_URL="+p.redis, "COZE_API_BASE="+p.fake.URL, "COZE_API_TOKEN=token", "COZE_BOT_ID=bot")
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

// questions writes q.jsonl with that many rows.
func (p *processes) questions(t testing.TB, rows int) {
	t.Helper()
	f, err := os.Create(filepath.Join(p.dir, "q.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for n := 1; n <= rows; n++ {
		fmt.Fprintf(w, `{"custom_id":"row-%d","question":"question %d"}`+"\n", n, n)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func (p *processes) start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := p.command(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// program is a process that was started with startProgram.
type program struct {
	cmd   *exec.Cmd
	log   string // the file of what it says
	ready string // what ready has found
}

var workerServes = regexp.MustCompile(`"msg":"(serving)"`)

// startProgram starts a program and waits until it says that it is ready. ready has one group.
func (p *processes) startProgram(t *testing.T, ready *regexp.Regexp, args ...string) *program {
	t.Helper()
	f, err := os.CreateTemp(p.dir, args[0]+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := &program{cmd: p.command(t, args...), log: f.Name()}
	g.cmd.Stderr = f
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(g.log)
		if err != nil {
			t.Fatal(err)
		}
		if found := ready.FindSubmatch(text); found != nil {
			g.ready = string(found[1])
			return g
		}
		if time.Now().After(end) {
			p.kill(g.cmd)
			t.Fatalf("%s is not ready:\n%s", args[0], text)
		}
	}
}

func (p *processes) kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it fails only where the process has ended
	_ = cmd.Wait()         // and "signal: killed" is how it should end
}

// serve starts a worker on a Redis, for the time of the test, and waits until it serves: a
// run that finds none asks nothing.
func (p *processes) serve(t *testing.T, url string) {
	t.Helper()
	p.redis = url
	worker := p.start(t, "worker", "--http", "off", "--drain", "0s")
	t.Cleanup(func() { p.kill(worker) })
	awaitServed(t, p.redis)
}

// checkOutput wants the answer of each row in out.jsonl, in order, and returns the run's
// name.
func (p *processes) checkOutput(t *testing.T, rows int) (id string) {
	t.Helper()
	f, err := os.Open(filepath.Join(p.dir, "out.jsonl"))
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
	if n != rows {
		t.Errorf("%d records, want %d", n, rows)
	}
	return id
}
