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

// A serve that is told to stop lets the answer that it is sending end, lets go who only watches, and ends.
func TestStop(t *testing.T) {
	out, written := io.Pipe()
	cmd := New(&terminal.Streams{Out: written, Err: io.Discard, Env: func(string) (string, bool) { return "", false }})
	cmd.SetArgs([]string{"--demo", "--http", "127.0.0.1:0"})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = strings.TrimSpace(url)
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
