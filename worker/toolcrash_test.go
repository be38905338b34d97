package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// envTools has a worker's process run the tool "step", which tells the file what it does, and stands still where the step of
// its arguments says.
const envTools = "COZEQ_TEST_WORKER_TOOLS"

// stepTool is that tool; stands: it stands still.
func stepTool(path string, stands bool) worker.Tool {
	return func(_ context.Context, arguments json.RawMessage) (string, error) {
		var a struct{ Step string }
		if err := json.Unmarshal(arguments, &a); err != nil {
			return "", err
		}
		told, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		tell(path, a.Step+" begun\n")
		if stands && (a.Step == "before" || a.Step == "rounds" && strings.Contains(string(told), "rounds done")) {
			select {}
		}
		tell(path, a.Step+" done\n")
		if stands && a.Step == "ran" {
			select {}
		}
		return string(arguments), nil
	}
}

func tell(path, line string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		panic(err)
	}
}

// holdNoted is a transport that does not send the outputs of the step "noted".
type holdNoted struct{ http.RoundTripper }

func (h holdNoted) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/submit_tool_outputs") {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		if text, _ := io.ReadAll(body); strings.Contains(string(text), "noted") {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
	}
	return h.RoundTripper.RoundTrip(r)
}

// TestToolKilled kills a worker, with kill -9, while its tasks stand at each step of a round of tools. Another one goes on
// with the same chats, and a tool runs at most once more.
func TestToolKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s: a lease must run out")
	}
	t.Parallel()
	server := redistest.Start(t)
	l := newLine(t, server.Client(), cozetest.With(cozetest.Config{}))
	path := filepath.Join(t.TempDir(), "told")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		step        string
		begun, done int // how often the tool was begun, and had done its work
		more        string
	}{
		{"before", 2, 1, ""}, // the calls are noted, the tool has not done anything
		{"ran", 2, 2, ""},    // the tool has done its work, and its output is not noted
		{"noted", 1, 1, ""},  // the output is noted, and not submitted
		{"submitted", 1, 1, "[[mock:on=submit stall times=1]]"}, // submitted, and there is no reply
		{"rounds", 3, 2, ""}, // the next round's calls are noted
	}
	killed := startWorker(t, server.URL(), l.fake.URL, envTools+"="+path)
	ids := make(map[string]string)
	question := func(step, more string) string {
		rounds := 1
		if step == "rounds" {
			rounds = 2
		}
		return fmt.Sprintf(`%s [[mock:action=step rounds=%d arguments={"step":"%s"}]]%s`, step, rounds, step, more)
	}
	for _, s := range steps {
		ids[s.step] = l.enqueue(tasks.Ask("bot", question(s.step, s.more)), tasks.Options{})
	}
	told := func(line string) int {
		all, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(all), line+"\n")
	}
	until(t, "all steps", func() bool {
		noted := l.rdb.HGet(t.Context(), results.Key(ids["noted"]), "tools").Val()
		return told("before begun") == 1 && told("ran done") == 1 && strings.Contains(noted, "outputs") &&
			l.fake.Calls("/v3/chat/submit_tool_outputs") == 2 && told("rounds begun") == 2
	})
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	l.work(func(c *worker.Config) { c.Tools = map[string]worker.Tool{"step": stepTool(path, false)} })
	for _, s := range steps {
		r := l.wait(ids[s.step])
		if r.Status != results.Completed || !strings.Contains(r.Answer, "step gave") || r.Attempts != 1 || r.PossibleDuplicate {
			t.Errorf("%s: %+v %+v", s.step, r, r.Error)
		}
		if n := l.fake.ByQuestion(question(s.step, s.more)); n != 1 {
			t.Errorf("%s: %d chats", s.step, n)
		}
		if begun, done := told(s.step+" begun"), told(s.step+" done"); begun != s.begun || done != s.done {
			t.Errorf("%s: the tool was begun %d times and has done its work %d times, want %d and %d", s.step, begun, done, s.begun, s.done)
		}
	}
}
