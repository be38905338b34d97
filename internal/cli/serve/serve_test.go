package serve

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/terminal"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// start starts a server, and says where it is, how to stop it, and how it ended.
func start(t *testing.T, args ...string) (url string, stop func(), ended <-chan error) {
	t.Helper()
	return startWith(t, nil, args...)
}

func startWith(t *testing.T, env map[string]string, args ...string) (url string, stop func(), ended <-chan error) {
	t.Helper()
	out, written := io.Pipe()
	cmd := New(&terminal.Streams{Out: written, Err: io.Discard, Env: func(name string) (string, bool) {
		value, set := env[name]
		return value, set
	}})
	cmd.SetArgs(append(args, "--http", "127.0.0.1:0"))
	ctx, stop := context.WithCancel(t.Context())
	end := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		end <- cmd.ExecuteContext(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-over
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url), stop, end
}

// A serve that is told to stop lets the answer that it is sending end, lets go who only watches, and ends.
func TestStop(t *testing.T) {
	url, stop, ended := start(t, "--demo")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	call := func(path, body string) *bufio.Reader {
		method := http.MethodPost
		if body == "" {
			method = http.MethodGet
		}
		request, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		if response.StatusCode >= 300 {
			t.Fatalf("%s: %s", path, response.Status)
		}
		return bufio.NewReader(response.Body)
	}
	call("/api/v1/tasks", `{"id": "late", "question": "why?", "delay": "1h"}`)
	watched := call("/api/v1/tasks/late/events", "")
	streamed := call("/v1/chat/completions", `{"model": "demo", "stream": true, "messages": [{"role": "user", "content": "why?"}]}`)
	for _, r := range []*bufio.Reader{watched, streamed} {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if _, err := io.ReadAll(watched); err != nil {
		t.Errorf("a watcher was cut off: %v", err)
	}
	if text, err := io.ReadAll(streamed); err != nil || !strings.HasSuffix(string(text), "data: [DONE]\n\n") {
		t.Errorf("%v: the answer ends with %q", err, text[max(0, len(text)-200):])
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
