package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/cli"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// startCommand runs a command in this process. Its stderr comes line by line
// from lines; stop is its signal, and gives the exit code.
func startCommand(t *testing.T, env map[string]string, args ...string) (lines <-chan string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	feed, ended := make(chan string, 1000), make(chan int, 1)
	go func() {
		defer close(feed)
		for s := bufio.NewScanner(r); s.Scan(); {
			feed <- s.Text()
		}
	}()
	go func() {
		defer w.Close()
		ended <- cli.Execute(ctx, args, terminal.Streams{
			In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: w, Width: terminal.DefaultWidth,
			Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		})
	}()
	return feed, func() int {
		cancel()
		for range feed {
		}
		return <-ended
	}
}

// logged waits for a line of the log with this message.
func logged(t *testing.T, lines <-chan string, message string) map[string]any {
	t.Helper()
	for line := range lines {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("the log is not JSON lines: %q", line)
		}
		if entry["msg"] == message {
			return entry
		}
	}
	t.Fatalf("%q was never logged", message)
	return nil
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestWorkerServesItsState(t *testing.T) {
	rdb := redistest.Start(t)
	fake := cozetest.New(t)
	lines, stop := startCommand(t, map[string]string{
		"REDIS_URL": rdb.URL(), "COZE_API_BASE": fake.URL, "COZE_API_TOKEN": "pat_x",
	}, "worker", "--http", "127.0.0.1:0")
	metrics := logged(t, lines, "serving metrics")["url"].(string)
	base := strings.TrimSuffix(metrics, "/metrics")
	logged(t, lines, "serving")

	if status, body := get(t, base+"/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", status, body)
	}
	if status, body := get(t, base+"/readyz"); status != 200 {
		t.Errorf("/readyz: %d %q", status, body)
	}
	status, body := get(t, metrics)
	if status != 200 || !strings.Contains(body, "\ncozeq_paused{") || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("/metrics: %d\n%s", status, body)
	}
	rdb.Kill()
	if status, _ := get(t, base+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz without redis: %d, want 503", status)
	}
	if status, _ := get(t, base+"/healthz"); status != 200 {
		t.Errorf("/healthz without redis: %d, want 200: a restart would not help", status)
	}
	rdb.Restart()
	if code := stop(); code != exitcode.OK {
		t.Errorf("exit code %d after a signal, want 0", code)
	}
}

// A worker waits for a Redis that is not there yet, and says so.
func TestWorkerAwaitsRedis(t *testing.T) {
	rdb := redistest.Start(t)
	rdb.Kill()
	lines, stop := startCommand(t, map[string]string{"REDIS_URL": rdb.URL(), "COZE_API_TOKEN": "pat_x"},
		"worker", "--http", "127.0.0.1:0")
	url := logged(t, lines, "serving metrics")["url"].(string)
	if status, body := get(t, strings.TrimSuffix(url, "/metrics")+"/readyz"); status != 503 || !strings.Contains(body, "starting") {
		t.Errorf("/readyz before redis: %d %q", status, body)
	}
	logged(t, lines, "redis does not answer, trying again")
	rdb.Restart()
	logged(t, lines, "serving")
	if code := stop(); code != exitcode.OK {
		t.Errorf("exit code %d after a signal, want 0", code)
	}
}

// A signal ends the wait, too.
func TestWorkerStopsWaiting(t *testing.T) {
	rdb := redistest.Start(t)
	rdb.Kill()
	lines, stop := startCommand(t, map[string]string{"REDIS_URL": rdb.URL(), "COZE_API_TOKEN": "pat_x"}, "worker", "--http", "off")
	logged(t, lines, "redis does not answer, trying again")
	ended := make(chan int, 1)
	go func() { ended <- stop() }()
	select {
	case code := <-ended:
		if code != exitcode.OK {
			t.Errorf("exit code %d, want 0", code)
		}
	case <-time.After(patience):
		t.Fatal("the worker goes on waiting")
	}
}

// An address in use is an error before anything is asked, with the way out.
func TestMetricsAddressInUse(t *testing.T) {
	fake := cozetest.New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var errs bytes.Buffer
	code := cli.Execute(t.Context(), []string{"run", "-", "--format", "txt", "--http", l.Addr().String()}, terminal.Streams{
		In: strings.NewReader("hello\n"), Out: &bytes.Buffer{}, Err: &errs,
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{"COZE_API_BASE": fake.URL, "COZE_API_TOKEN": "pat_x", "COZE_BOT_ID": "b"}[name]
			return v, ok
		},
	})
	if code != exitcode.Failed || !strings.Contains(errs.String(), "address already in use") ||
		!strings.Contains(errs.String(), "hint: choose another address with --http or COZEQ_HTTP, or off\n") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if n := fake.Accepted(); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
}

// What the worker keeps results for holds for questions that say nothing of it.
func TestWorkerKeep(t *testing.T) {
	rdb := redistest.Start(t)
	fake := cozetest.New(t)
	lines, stop := startCommand(t, map[string]string{
		"REDIS_URL": rdb.URL(), "COZE_API_BASE": fake.URL, "COZE_API_TOKEN": "pat_x",
	}, "worker", "--http", "off", "--keep", "10m")
	logged(t, lines, "serving")
	store := results.NewStore(rdb.Client())
	defer store.Close()
	id, err := tasks.NewClient(store).Enqueue(t.Context(), tasks.Ask("bot", "hello"), tasks.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if r, err := store.Wait(ctx, id); err != nil || r.Status != results.Completed {
		t.Fatalf("%+v, %v", r, err)
	}
	if left := rdb.Client().TTL(ctx, results.Key(id)).Val(); left <= 0 || left > 10*time.Minute {
		t.Errorf("the result is kept for %v, want 10m", left)
	}
	if code := stop(); code != exitcode.OK {
		t.Errorf("exit code %d after a signal, want 0", code)
	}
}
