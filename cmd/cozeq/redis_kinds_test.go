package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/cli"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/remoteredis"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
)

// TestRedisKinds has the program's own client, made of a URL, talk to each kind of
// Redis, as the user that the rules for production make.
func TestRedisKinds(t *testing.T) {
	t.Parallel()
	secure := []redistest.Option{redistest.ACL(), redistest.TLS()}
	for name, url := range map[string]func(*testing.T) string{
		"single":       func(t *testing.T) string { return redistest.Start(t, redistest.ACL()).UserURL() },
		"unix":         func(t *testing.T) string { return redistest.Start(t, redistest.ACL(), redistest.Unix()).UserURL() },
		"sentinel":     func(t *testing.T) string { return redistest.StartSentinel(t, redistest.ACL()).UserURL() },
		"cluster":      func(t *testing.T) string { return redistest.StartCluster(t, redistest.ACL()).UserURL() },
		"single tls":   func(t *testing.T) string { return redistest.Start(t, secure...).UserURL() },
		"sentinel tls": func(t *testing.T) string { return redistest.StartSentinel(t, secure...).UserURL() },
		"cluster tls":  func(t *testing.T) string { return redistest.StartCluster(t, secure...).UserURL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := remoteredis.Parse(url(t), 4)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Client.Close()
			if err := r.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := r.Client.Set(t.Context(), "cozeq:test", "v", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if got, err := r.Client.Get(t.Context(), "cozeq:test").Result(); err != nil || got != "v" {
				t.Errorf("GET: %q, %v", got, err)
			}
		})
	}
}

// TestWorkerSiteOnRedisKinds looks at all that a worker serves, on a cluster and as a
// user with the rules for production: dashboards read much that nobody else reads.
func TestWorkerSiteOnRedisKinds(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (url string, servers []*redistest.Server){
		"single": func(t *testing.T) (string, []*redistest.Server) {
			s := redistest.Start(t, redistest.ACL())
			return s.UserURL(), []*redistest.Server{s}
		},
		"sentinel": func(t *testing.T) (string, []*redistest.Server) {
			g := redistest.StartSentinel(t, redistest.ACL())
			return g.UserURL(), []*redistest.Server{g.Master()}
		},
		"cluster": func(t *testing.T) (string, []*redistest.Server) {
			c := redistest.StartCluster(t, redistest.ACL())
			return c.UserURL(), c.Servers()
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, servers := start(t)
			fake := cozetest.New(t)
			env := map[string]string{"REDIS_URL": url, "COZE_API_BASE": fake.URL, "COZE_API_TOKEN": "pat_x", "COZE_BOT_ID": "b"}
			lines, stop := startCommand(t, env, "worker", "--http", "127.0.0.1:0")
			base := strings.TrimSuffix(logged(t, lines, "serving metrics")["url"].(string), "/metrics")
			logged(t, lines, "serving")
			awaitServed(t, url)
			var errs bytes.Buffer
			code := cli.Execute(t.Context(), []string{"ask", "--conversation", "talk", "hello"}, terminal.Streams{
				In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &errs,
				Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
			})
			if code != exitcode.OK {
				t.Errorf("ask: exit code %d, %s", code, errs.String())
			}
			for _, path := range []string{
				"/readyz", "/metrics", "/monitor", "/monitor/api/queues", "/monitor/api/queues/default", "/monitor/api/servers",
				"/monitor/api/redis_info", "/monitor/api/queue_stats", "/monitor/api/queues/default/completed_tasks",
				"/monitor/api/queues/default/active_tasks", "/monitor/api/scheduler_entries",
			} {
				if status, body := get(t, base+path); status != http.StatusOK {
					t.Errorf("%s: %d %s", path, status, body)
				}
			}
			if code := stop(); code != exitcode.OK {
				t.Errorf("worker: exit code %d", code)
			}
			for _, s := range servers {
				for _, line := range s.Denied() {
					if !strings.HasSuffix(line, " config|get") {
						t.Error(line)
					}
				}
			}
		})
	}
}

// awaitServed waits until a worker serves the default queue of the Redis.
func awaitServed(t testing.TB, url string) {
	t.Helper()
	r, err := remoteredis.Parse(url, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Client.Close()
	s := &session.Session{Redis: r.Client}
	awaittest.NoError(t, "a worker serves", func() error { return s.Served(tasks.QueueDefault) })
}
