package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// Workers that are restarted one after the other, until a batch is done, lose none of its
// questions and ask none twice, although their drain is shorter than the chats.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("restarts programs for some seconds")
	}
	rollingRestart(t, 300, 12, 16)
}

// TestSoakRollingRestart is the same with 20,000 questions and 60 restarts.
func TestSoakRollingRestart(t *testing.T) {
	if os.Getenv("COZEQ_SOAK") == "" {
		t.Skip("make soak runs it")
	}
	rollingRestart(t, 20_000, 60, 64)
}

// A third of the questions are turns of conversations: no worker may begin a turn while
// the one before it is handed over.
const rollingTurns = 5

func rollingRestart(t *testing.T, questions, most, concurrency int) {
	r := &rolling{processes: processes{
		dir: t.TempDir(), redis: redistest.Start(t).URL(),
		fake: cozetest.New(t, cozetest.With(cozetest.Config{ // chats of 500 ms, six times the drain
			Latency: 100 * time.Millisecond, DeltaPace: 50 * time.Millisecond, KeepLog: -1,
		})),
	}, concurrency: concurrency}
	var file bytes.Buffer
	for n := range questions {
		fmt.Fprintf(&file, `{"custom_id":"row-%d","question":"question %d"`, n, n)
		if talk := talkOf(n); talk != "" {
			fmt.Fprintf(&file, `,"conversation_key":%q`, talk)
		}
		file.WriteString("}\n")
	}
	if err := os.WriteFile(filepath.Join(r.dir, "q.jsonl"), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	workers := make([]*program, 3)
	for i := range workers {
		workers[i] = r.startWorker(t)
		t.Cleanup(func() { r.kill(workers[i].cmd) })
	}
	out, err := r.command(t, "batch", "submit", "q.jsonl").Output()
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	id := strings.TrimSpace(string(out))
	began, watched := time.Now(), make(chan error, 1)
	watch := r.start(t, "batch", "watch", id, "--exit-status")
	go func() { watched <- watch.Wait() }()

	restarts := 0
	for done := false; !done; {
		select {
		case err := <-watched:
			if err != nil {
				t.Errorf("watch: %v", err)
			}
			done = true
		case <-time.After(5 * time.Millisecond):
			if restarts == most || r.fake.Accepted() < restarts*questions/most {
				continue // they are spread over the batch
			}
			w := &workers[restarts%len(workers)]
			r.stopWorker(t, *w)
			*w = r.startWorker(t)
			restarts++
		}
	}
	took := time.Since(began)
	for _, w := range workers {
		r.stopWorker(t, w)
	}

	asked, repeats := r.fake.Accepted(), r.fake.Repeats()
	if asked != questions || repeats != 0 {
		t.Errorf("%d chats for %d questions, of which %d were asked again", asked, questions, repeats)
	}
	lost := questions - r.checkRecords(t, id)
	handed, longest := r.handOvers(t)
	if handed == 0 {
		t.Error("no chat was handed over: the test shows nothing")
	}
	t.Logf("%d tasks in %v, %d restarts, %d chats handed over, %d lost, %d asked twice; longest wait for the next worker %v",
		questions, took.Round(100*time.Millisecond), restarts, handed, lost, repeats, longest.Round(time.Millisecond))
}

// talkOf is the conversation of a question, if it has one: a third of the questions, with
// rows of other conversations and of none between the turns.
func talkOf(n int) string {
	if n%3 != 0 {
		return ""
	}
	const abreast = 20 // conversations whose turns alternate
	return fmt.Sprintf("talk %d.%d", n/3/(abreast*rollingTurns), n/3%abreast)
}

type rolling struct {
	processes
	concurrency int
	logs        []string // of every process, in the order of their starts
}

// startWorker starts a worker and waits until it serves, as whoever restarts them does.
func (r *rolling) startWorker(t *testing.T) *program {
	t.Helper()
	w := r.startProgram(t, workerServes, "worker", "--http", "off", "--drain", "80ms", "--log", "debug", "--concurrency", fmt.Sprint(r.concurrency))
	r.logs = append(r.logs, w.log)
	return w
}

// stopWorker ends a worker as systemd and Kubernetes do, and sees that it ends well.
func (r *rolling) stopWorker(t *testing.T, w *program) {
	t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil {
		text, _ := os.ReadFile(w.log)
		t.Fatalf("a worker ended with %v:\n%s", err, text)
	}
}

// checkRecords reads the batch's results and returns how many rows were answered once and
// in the order of their conversation.
func (r *rolling) checkRecords(t *testing.T, id string) (good int) {
	t.Helper()
	if out, err := r.command(t, "batch", "results", id, "-o", "out.jsonl").CombinedOutput(); err != nil {
		t.Errorf("results: %v\n%s", err, out)
	}
	if out, err := r.command(t, "batch", "verify", id, "out.jsonl").CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	f, err := os.Open(filepath.Join(r.dir, "out.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	turns, before := make(map[string]int), make(map[string]string)
	for n, lines := 0, bufio.NewScanner(f); lines.Scan(); n++ {
		var got results.Result
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		question := fmt.Sprintf("question %d", n)
		want := fmt.Sprintf("Mock answer to %q.", question)
		if talk := talkOf(n); talk != "" {
			if turns[talk]++; turns[talk] > 1 {
				want = fmt.Sprintf("Mock answer to %q (turn %d, after %q).", question, turns[talk], before[talk])
			}
			before[talk] = question
		}
		if got.CustomID != fmt.Sprintf("row-%d", n) || got.Status != results.Completed || got.Answer != want ||
			got.Attempts != 1 || got.PossibleDuplicate {
			t.Errorf("line %d is %s, want the answer %s", n+1, lines.Bytes(), want)
			continue
		}
		good++
	}
	return good
}

// handOvers reads the workers' logs: how many tasks one of them put back as it ended, and
// the longest time from there to the moment when another had taken one up.
func (r *rolling) handOvers(t *testing.T) (handed int, longest time.Duration) {
	t.Helper()
	type line struct {
		Time    time.Time
		Msg     string
		Task    string
		Verdict string
		Class   string
		Took    string
	}
	back := make(map[string][]time.Time) // by task: when it was put back
	begun := make(map[string][]time.Time)
	for _, name := range r.logs {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Fatalf("%s: %v: %s", name, err, lines.Bytes())
			}
			if took, err := time.ParseDuration(l.Took); l.Verdict != "" && err == nil {
				begun[l.Task] = append(begun[l.Task], l.Time.Add(-took))
			}
			if l.Verdict == "later" && l.Class == "" {
				back[l.Task] = append(back[l.Task], l.Time)
			}
		}
		f.Close()
	}
	for task, moments := range back {
		for _, from := range moments {
			handed++
			var next time.Time
			for _, at := range begun[task] {
				if at.After(from) && (next.IsZero() || at.Before(next)) {
					next = at
				}
			}
			if !next.IsZero() { // else the next had begun before this one had noted that it put it back
				longest = max(longest, next.Sub(from))
			}
		}
	}
	return handed, longest
}
