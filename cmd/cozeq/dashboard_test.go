package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	dashboardcmd "github.com/cozeq/cozeq/internal/cli/dashboard"
	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
)

const monitorToken = "correct-horse-battery-staple"

func call(t *testing.T, method, url string, headers ...string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
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

// A worker serves the dashboard beside its metrics. With a token the dashboard asks for
// it; who scrapes or probes needs none, and nothing else is there.
func TestWorkerServesDashboard(t *testing.T) {
	rdb, fake := redistest.Start(t), cozetest.New(t)
	lines, stop := startCommand(t, map[string]string{
		"REDIS_URL": rdb.URL(), "COZE_API_BASE": fake.URL, "COZE_API_TOKEN": "pat_x", "COZE_BOT_ID": "bot_1",
		"COZEQ_MONITOR_TOKEN": monitorToken, "COZEQ_LOG": "debug",
	}, "worker", "--http", "127.0.0.1:0")
	url := logged(t, lines, "serving the dashboard")["url"].(string)
	base := strings.TrimSuffix(url, dashboard.Root)
	logged(t, lines, "serving")

	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 302,
		"/monitor": 401, "/monitor/": 401, "/monitor/api/queues": 401, "/monitor/static/js/main.js": 401,
		"/debug/pprof/": 404, "/debug/vars": 404, "/monitors": 404, "/api/queues": 404,
	} {
		if status, body := call(t, "GET", base+path); status != want || strings.Contains(body, monitorToken) {
			t.Errorf("%s: %d, want %d: %s", path, status, want, body)
		}
	}
	bearer := []string{"Authorization", "Bearer " + monitorToken}
	if status, body := call(t, "GET", url+"/", bearer...); status != 200 || !strings.HasPrefix(body, "<!doctype html>") {
		t.Errorf("/monitor/ with the token: %d %.200s", status, body)
	}
	if status, body := call(t, "GET", url+"/api/queues", bearer...); status != 200 || !strings.HasPrefix(body, `{"queues":`) {
		t.Errorf("/monitor/api/queues with the token: %d %s", status, body)
	}
	if status, _ := call(t, "POST", url+"/api/queues/default:pause", bearer...); status != 405 {
		t.Errorf("a button without --monitor-write: %d, want 405", status)
	}
	ended := make(chan int)
	go func() { ended <- stop() }()
	for line := range lines {
		if strings.Contains(line, monitorToken) {
			t.Errorf("the token is in the log: %s", line)
		}
	}
	if code := <-ended; code != exitcode.OK {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Without a token only this machine is let in, and no page of another site through it.
func TestDashboardWithoutToken(t *testing.T) {
	rdb := redistest.Start(t)
	lines, stop := startCommand(t, map[string]string{"REDIS_URL": rdb.URL(), "COZEQ_LOG": "info"},
		"dashboard", "--http", "localhost:0", "--monitor-write")
	url := logged(t, lines, "serving the dashboard")["url"].(string)
	for host, want := range map[string]int{"": 200, "localhost": 200, "evil.example": 403} {
		headers := []string{"Host", host}
		if host == "" {
			headers = nil
		}
		if status, body := call(t, "GET", url+"/api/queues", headers...); status != want {
			t.Errorf("as %q: %d, want %d: %s", host, status, want, body)
		}
	}
	if status, body := call(t, "POST", url+"/api/queues/default:pause", "Origin", "https://evil.example"); status != 403 {
		t.Errorf("a button of another site: %d, want 403: %s", status, body)
	}
	if status, body := call(t, "GET", strings.TrimSuffix(url, dashboard.Root)+"/readyz"); status != 200 {
		t.Errorf("/readyz: %d %s", status, body)
	}
	rdb.Kill()
	if status, _ := call(t, "GET", strings.TrimSuffix(url, dashboard.Root)+"/readyz"); status != 503 {
		t.Errorf("/readyz without redis: %d, want 503", status)
	}
	if code := stop(); code != exitcode.OK {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Which addresses need a token: all that another machine could reach.
func TestDashboardAddress(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(monitorToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for addr, private := range map[string]bool{
		"127.0.0.1:8081": true, "127.1.2.3:0": true, "[::1]:8081": true, "localhost:8081": true, "LOCALHOST:0": true,
		"[::ffff:127.0.0.1]:0": true, "localhost:http": true,
		"0.0.0.0:8081": false, ":8081": false, "[::]:8081": false, "[::ffff:0.0.0.0]:0": false,
		"192.168.1.5:8081": false, "10.0.0.1:0": false, "[fe80::1]:0": false, "8.8.8.8:80": false, "[::ffff:10.0.0.1]:0": false,
	} {
		for _, token := range []string{"", file} {
			cfg := settings.Config{Cmd: dashboardcmd.New(&terminal.Streams{}), Env: only(settings.EnvMonitorTokenFile, token)}
			plan, err := cfg.Dashboard(t.Context(), addr)
			if ok := err == nil; ok != (private || token != "") {
				t.Errorf("%s, token %q: %v", addr, token, err)
			}
			if code, _ := exitcode.Of(err); err != nil && code != exitcode.Usage {
				t.Errorf("%s: exit code %d, want 2", addr, code)
			}
			if err != nil {
				continue
			}
			if (plan.Token != nil) != (token != "") {
				t.Errorf("%s: asks for a token: %v", addr, plan.Token != nil)
			}
			if token == "" && !strings.HasPrefix(plan.Addr, "127.") && !strings.HasPrefix(plan.Addr, "[::1]:") {
				t.Errorf("%s would be served on %s", addr, plan.Addr)
			}
		}
	}
}

// only is an environment with one variable.
func only(name, value string) func(string) (string, bool) {
	env := map[string]string{name: value}
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

// A token file is read again when it changes. One that turns bad lets nobody in.
func TestMonitorTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(monitorToken + "\n")
	synctest.Test(t, func(t *testing.T) {
		cfg := settings.Config{Cmd: dashboardcmd.New(&terminal.Streams{}), Env: only(settings.EnvMonitorTokenFile, file)}
		token, err := cfg.MonitorToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := token(t.Context()); got != monitorToken || err != nil {
			t.Errorf("token %q, %v", got, err)
		}
		write("another-token-altogether")
		time.Sleep(5 * time.Second)
		if got, err := token(t.Context()); got != "another-token-altogether" || err != nil {
			t.Errorf("changed, token %q, %v", got, err)
		}
		write("short")
		time.Sleep(5 * time.Second)
		if _, err := token(t.Context()); err == nil {
			t.Error("a token that can be guessed is taken")
		}
	})
}
