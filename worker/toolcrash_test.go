package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/toolwebhook"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// envTools has a worker's process run the tool "step", which tells the file what it does, and stands still where the step of
// its arguments says. envSecrets names the file of secrets that sign the calls of tools that tasks bring along.
const (
	envTools   = "COZEQ_TEST_WORKER_TOOLS"
	envSecrets = "COZEQ_TEST_WORKER_SECRETS"
)

// stepTool is that tool; stands: it stands still.
func stepTool(path string, stands bool) worker.Tool {
	return func(ctx context.Context, arguments json.RawMessage) (string, error) {
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
			<-ctx.Done()
			return "", ctx.Err()
		}
		tell(path, a.Step+" done\n")
		if stands && a.Step == "ran" {
			<-ctx.Done()
			return "", ctx.Err()
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

// stepServer is that tool as a webhook: it stands still until its worker was killed. ids are the webhook-ids that it has got.
type stepServer struct {
	path   string
	killed atomic.Bool

	mu  sync.Mutex
	ids map[string]int
}

func (s *stepServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Data struct{ Arguments json.RawMessage }
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the worker is gone
	s.mu.Lock()
	s.ids[r.Header.Get("webhook-id")]++
	s.mu.Unlock()
	if output, err := stepTool(s.path, !s.killed.Load())(r.Context(), event.Data.Arguments); err == nil && r.Context().Err() == nil {
		_, _ = io.WriteString(w, output)
	}
}

// taskTools calls tools on loopback.
func taskTools(secrets string) func(tasks.ToolWebhook) worker.Tool {
	known, err := webhook.LoadSecrets(secrets, nil)
	if err != nil {
		panic(err)
	}
	return toolwebhook.New(webhook.NewClient(webhook.ClientConfig{
		Secrets: known, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})).OfTask
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const toolSecret = "default whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u\n"

// TestToolKilled kills a worker, with kill -9, while its tasks stand at each step of a round of tools. Another one goes on
// with the same chats, and a tool runs at most once more. The tool is one of the worker's, and a webhook that the task brings along:
// that sees by the webhook-id that it is called again.
func TestToolKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s: a lease must run out")
	}
	t.Parallel()
	server := redistest.Start(t)
	l := newLine(t, server.Client(), cozetest.With(cozetest.Config{}))
	path, secrets := writeFile(t, "told", ""), writeFile(t, "secrets", toolSecret)
	remote := &stepServer{path: writeFile(t, "told", ""), ids: make(map[string]int)}
	receiver := httptest.NewServer(remote)
	t.Cleanup(receiver.Close)
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
	killed := startWorker(t, server.URL(), l.fake.URL, envTools+"="+path, envSecrets+"="+secrets)
	question := func(where, step, more string) string {
		rounds := 1
		if step == "rounds" {
			rounds = 2
		}
		return fmt.Sprintf(`%s %s [[mock:action=step rounds=%d arguments={"step":"%s"}]]%s`, where, step, rounds, step, more)
	}
	ids := make(map[string]string)
	told := map[string]func(string) int{}
	for where, path := range map[string]string{"here": path, "http": remote.path} {
		for _, s := range steps {
			chat := tasks.Ask("bot", question(where, s.step, s.more))
			if where == "http" {
				chat.Tools = map[string]tasks.ToolWebhook{"step": {URL: receiver.URL}}
			}
			ids[where+s.step] = l.enqueue(chat, tasks.Options{})
		}
		told[where] = func(line string) int {
			all, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return strings.Count(string(all), line+"\n")
		}
	}
	awaittest.Until(t, "all steps", func() bool {
		for where, told := range told {
			noted := l.rdb.HGet(t.Context(), results.Key(ids[where+"noted"]), "tools").Val()
			if told("before begun") != 1 || told("ran done") != 1 || !strings.Contains(noted, "outputs") || told("rounds begun") != 2 {
				return false
			}
		}
		return l.fake.Calls("/v3/chat/submit_tool_outputs") == 4
	})
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	remote.killed.Store(true)
	l.work(func(c *worker.Config) {
		c.Tools, c.TaskTool = map[string]worker.Tool{"step": stepTool(path, false)}, taskTools(secrets)
	})
	for where, told := range told {
		for _, s := range steps {
			r := l.wait(ids[where+s.step])
			if r.Status != results.Completed || !strings.Contains(r.Answer, "step gave") || r.Attempts != 1 || r.PossibleDuplicate {
				t.Errorf("%s %s: %+v %+v", where, s.step, r, r.Error)
			}
			if n := l.fake.ByQuestion(question(where, s.step, s.more)); n != 1 {
				t.Errorf("%s %s: %d chats", where, s.step, n)
			}
			if begun, done := told(s.step+" begun"), told(s.step+" done"); begun != s.begun || done != s.done {
				t.Errorf("%s %s: the tool was begun %d times and has done its work %d times, want %d and %d", where, s.step, begun, done, s.begun, s.done)
			}
		}
	}
	remote.mu.Lock()
	defer remote.mu.Unlock()
	twice := 0
	for _, n := range remote.ids {
		twice += n - 1
	}
	if len(remote.ids) != 6 || twice != 3 { // a call a round; before, ran and the second of rounds came again
		t.Errorf("webhook-ids %v", remote.ids)
	}
}
