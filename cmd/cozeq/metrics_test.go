package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/cli"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/httpserver"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// described collects what is registered, to know each metric by name before there is
// anything to count.
type described struct {
	*prometheus.Registry
	names map[string]bool
}

func (d *described) MustRegister(all ...prometheus.Collector) {
	d.Registry.MustRegister(all...)
	for _, c := range all {
		descs := make(chan *prometheus.Desc)
		go func() {
			defer close(descs)
			c.Describe(descs)
		}()
		for desc := range descs {
			d.names[descName.FindStringSubmatch(desc.String())[1]] = true
		}
	}
}

var descName = regexp.MustCompile(`fqName: "([^"]+)"`)

func allMetrics(t *testing.T, s *session.Session, a settings.Account) (*described, *worker.Metrics) {
	t.Helper()
	d := &described{Registry: prometheus.NewRegistry(), names: map[string]bool{}}
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, []byte(`{"shop": {"sha256": "`+strings.Repeat("ab", 32)+`", "expires": "2099-01-01"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Tasks: s.Tasks, Metrics: d, KeysFile: keys})
	if err != nil {
		t.Fatal(err)
	}
	g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return d, httpserver.RegisterMetrics(d, s, a, []string{tasks.QueueDefault, tasks.QueueLow})
}

// ours are the metrics that cozeq itself makes.
func (d *described) ours() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.names)), func(name string) bool { return !strings.HasPrefix(name, "cozeq_") })
}

// TestMetricsDoc makes every metric occur and holds the table in docs/metrics.md against
// it. UPDATE_DOCS=1 writes the table.
func TestMetricsDoc(t *testing.T) {
	t.Parallel()
	fake := cozetest.New(t, cozetest.WithRules(
		cozetest.Rule{Contains: "again", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 5000}},
		cozetest.Rule{Contains: "bot", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4015}},
	))
	rdb := redistest.Start(t).Client()
	s := session.New(rdb, nil)
	defer s.Close()
	a := settings.Account{Credential: settings.Credential{Base: fake.URL, Token: coze.StaticToken("pat_x"), Life: settings.TokenLife{Set: time.Now()}}}
	reg, metrics := allMetrics(t, s, a)
	err := s.StartWorker(t.Context(), a, worker.Config{
		BotID: "b", Concurrency: 4, Queues: map[string]int{tasks.QueueDefault: 1}, Metrics: metrics, Logger: slog.New(slog.DiscardHandler),
	}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	for _, question := range []string{"well", "again", "tool [[mock:action]]", "[[mock:ask_back]]"} {
		id, err := s.Tasks.Enqueue(t.Context(), tasks.Ask("b", question), tasks.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Results.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Uploader(a).UploadContent(t.Context(), "a.pdf", []byte("%PDF-1.7")); err != nil {
		t.Fatal(err)
	}
	waits := tasks.Ask("b", "wait")
	waits.Tenant = "shop"
	if _, err := s.Tasks.Enqueue(t.Context(), waits, tasks.Options{Queue: tasks.QueueLow}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tasks.Enqueue(t.Context(), tasks.Ask("other", "bot"), tasks.Options{}); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the bot is paused", func() bool {
		all, err := worker.Pauses(t.Context(), rdb)
		return err == nil && len(all) == 1 && all[0].Aside == 1
	})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| metric | type | what it is |\n| --- | --- | --- |\n")
	seen := map[string]bool{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "cozeq_") {
			continue
		}
		seen[f.GetName()] = true
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		name := f.GetName()
		if len(labels) > 0 {
			name += "{" + strings.Join(labels, ",") + "}"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", name, strings.ToLower(f.GetType().String()), f.GetHelp())
	}
	for _, name := range reg.ours() {
		if !seen[name] {
			t.Errorf("%s never occurred: the table cannot say what it is", name)
		}
	}
	generated(t, "../../docs/metrics.md", "metrics", table.String())
}

// generated compares the part of a document between its marks with what it should be.
func generated(t *testing.T, path, mark, want string) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open, end := []byte("<!-- "+mark+" -->\n"), []byte("<!-- /"+mark+" -->\n")
	head, rest, found := bytes.Cut(doc, open)
	part, tail, closed := bytes.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no marks %q and %q", path, open, end)
	}
	if string(part) == want {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("%s is not up to date: run the test with UPDATE_DOCS=1\ngot\n%s\nwant\n%s", path, part, want)
	}
	doc = slices.Concat(head, open, []byte(want), end, tail)
	if err := os.WriteFile(path, doc, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTokenMetrics tells when tokens end that somebody has to replace.
func TestTokenMetrics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	made := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	personal, service := write("personal", "pat_one\n"), write("service", "sat_two\n")
	for _, path := range []string{personal, service} {
		if err := os.Chtimes(path, made, made); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(dir, "key.pem")
	if _, err := writeKey(key); err != nil {
		t.Fatal(err)
	}
	more := write("more.json", `{
		"dated": {"token_file": "personal", "expires": "2026-11-20"},
		"same":  {"token_file": "personal", "expires": "2026-11-19T01:00:00Z"},
		"timeless": {"token_file": "service"},
		"app": {"jwt": {"client_id": "1", "private_key_file": "key.pem", "public_key_id": "k"}}}`)
	for name, c := range map[string]struct {
		env  map[string]string
		want []time.Time // sorted
	}{
		"a token in a variable":     {map[string]string{settings.EnvToken: "pat_x"}, nil},
		"and its end":               {map[string]string{settings.EnvToken: "pat_x", settings.EnvTokenEnds: "2026-12-31T08:00:00+08:00"}, []time.Time{time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}},
		"and a file, not used":      {map[string]string{settings.EnvToken: "pat_x", settings.EnvTokenFile: personal}, nil},
		"a personal token's file":   {map[string]string{settings.EnvTokenFile: personal}, []time.Time{made.Add(30 * 24 * time.Hour)}},
		"and its end, known better": {map[string]string{settings.EnvTokenFile: personal, settings.EnvTokenEnds: "2026-11-08"}, []time.Time{time.Date(2026, 11, 8, 0, 0, 0, 0, time.UTC)}},
		"a service token's file":    {map[string]string{settings.EnvTokenFile: service}, nil},
		"an app":                    {map[string]string{settings.EnvJWTClient: "1", settings.EnvJWTKeyFile: key, settings.EnvJWTKeyID: "k"}, nil},
		"several, the earliest of one token": {map[string]string{settings.EnvToken: "pat_x", settings.EnvTokenEnds: "2027-01-01", settings.EnvCredentials: more},
			[]time.Time{time.Date(2026, 11, 19, 1, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := new(cobra.Command)
			settings.AddFlags(cmd, settings.Base, settings.Codes, settings.MaxAnswer)
			cfg := settings.Config{Cmd: cmd, Env: func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }}
			a, err := cfg.Account(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			reg := prometheus.NewRegistry()
			reg.MustRegister(httpserver.NewTokenCollector(a))
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			var got []time.Time
			for _, f := range families {
				for _, m := range f.GetMetric() {
					got = append(got, time.Unix(int64(m.GetGauge().GetValue()), 0).UTC())
				}
			}
			slices.SortFunc(got, time.Time.Compare)
			if !slices.EqualFunc(got, c.want, time.Time.Equal) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestTokenEndsMalformed is an error before anything is asked, which does not repeat
// what may be the token itself.
func TestTokenEndsMalformed(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"soon", "31.12.2026", "pat_secret", "2026-13-01"} {
		var errs bytes.Buffer
		env := map[string]string{settings.EnvToken: "pat_x", settings.EnvTokenEnds: value, "REDIS_URL": "redis://127.0.0.1:1"}
		code := cli.Execute(t.Context(), []string{"worker"}, terminal.Streams{
			Out: &bytes.Buffer{}, Err: &errs, Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		})
		if code != exitcode.Usage || !strings.Contains(errs.String(), settings.EnvTokenEnds+": want the moment at which the token ends, as 2026-12-31") ||
			strings.Contains(errs.String(), value) {
			t.Errorf("%q: exit code %d: %s", value, code, errs.String())
		}
	}
}
