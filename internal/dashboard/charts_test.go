package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cozeq/cozeq/internal/dashboard"
	"github.com/cozeq/cozeq/internal/redistest"
)

// prometheus answers each query with itself, and keeps what it was asked.
type prometheus struct {
	mu     sync.Mutex
	asked  []url.Values
	answer func(w http.ResponseWriter, query string)
}

func (p *prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path != "/prom/api/v1/query_range" {
		http.NotFound(w, r)
		return
	}
	p.asked = append(p.asked, r.URL.Query())
	p.answer(w, r.URL.Query().Get("query"))
}

func success(w http.ResponseWriter, query string) {
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"query": query}})
}

func withPrometheus(t testing.TB, answer func(http.ResponseWriter, string)) (*prometheus, *room) {
	p := &prometheus{answer: answer}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/prom/")
	if err != nil {
		t.Fatal(err)
	}
	return p, open(t, redistest.Embedded(t), dashboard.Config{Prometheus: u})
}

const charts = dashboard.Root + "/api/metrics"

func TestCharts(t *testing.T) {
	t.Parallel()
	p, r := withPrometheus(t, success)
	page := r.text(r.call("GET", "/monitor/", ""), 200)
	if strings.Contains(page, "/prom") || !strings.Contains(page, `FLAG_PROMETHEUS_SERVER_ADDRESS="set"`) {
		t.Error("the page offers no charts, or knows where Prometheus is")
	}
	var got map[string]struct {
		Status string
		Data   struct{ Query string }
	}
	r.read(charts+"?duration=7200&endtime=1795486982&queues=default,low", &got)
	// The names that asynqmon's page reads.
	for _, name := range []string{"queue_size", "queue_latency_seconds", "queue_memory_usage_approx_bytes", "tasks_processed_per_second",
		"tasks_failed_per_second", "error_rate", "pending_tasks_by_queue", "retry_tasks_by_queue", "archived_tasks_by_queue"} {
		chart := got[name]
		if chart.Status != "success" || !strings.Contains(chart.Data.Query, `queue=~"default|low"`) ||
			!strings.Contains(chart.Data.Query, "by (queue)") || strings.Contains(chart.Data.Query, "%") {
			t.Errorf("%s: %+v", name, chart)
		}
	}
	if len(got) != 9 || len(p.asked) != 9 {
		t.Errorf("%d charts of %d queries, want 9", len(got), len(p.asked))
	}
	for _, q := range p.asked {
		if q.Get("start") != "1795479782" || q.Get("end") != "1795486982" || q.Get("step") != "10" {
			t.Errorf("asked for %v", q)
		}
	}
}

// A long time has not more points than a short one.
func TestChartsStep(t *testing.T) {
	t.Parallel()
	for duration, want := range map[string]string{"1": "10", "3600": "10", "86400": "120", "2592000": "3600"} {
		p, r := withPrometheus(t, success)
		var got map[string]any
		r.read(charts+"?duration="+duration, &got)
		if step := p.asked[0].Get("step"); step != want {
			t.Errorf("%s s in steps of %s s, want %s", duration, step, want)
		}
	}
}

// What comes from outside does not become part of a query unseen.
func TestChartsInput(t *testing.T) {
	t.Parallel()
	p, r := withPrometheus(t, success)
	for _, query := range []string{"duration=0", "duration=-5", "duration=x", "duration=99999999999999", "endtime=-1", "endtime=x",
		"queues=" + url.QueryEscape(`a"} or up{x="`), "queues=a,,b", "queues=" + url.QueryEscape(".*")} {
		r.text(r.call("GET", charts+"?"+query, ""), 400)
	}
	if len(p.asked) != 0 {
		t.Errorf("asked Prometheus %v", p.asked)
	}
}

// unavailable wants every chart to say why it is empty, without the query.
func unavailable(r *room, why string) {
	r.t.Helper()
	var got map[string]struct{ Status, Error string }
	r.read(charts, &got)
	if len(got) != 9 {
		r.t.Errorf("%d charts, want 9", len(got))
	}
	for name, c := range got {
		if c.Status != "error" || !strings.Contains(c.Error, why) || strings.Contains(c.Error, "query") {
			r.t.Errorf("%s is shown as %+v", name, c)
		}
	}
}

// An error of Prometheus' own is shown beside its chart; where nobody, or somebody
// else, answers, beside all of them.
func TestChartsFail(t *testing.T) {
	t.Parallel()
	_, r := withPrometheus(t, func(w http.ResponseWriter, query string) {
		if strings.Contains(query, "memory") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(`{"status":"error","errorType":"execution","error":"too many points"}`))
			return
		}
		success(w, query)
	})
	_, redirected := withPrometheus(t, func(w http.ResponseWriter, _ string) {
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere?key=secret")
		w.WriteHeader(http.StatusFound)
	})
	unavailable(redirected, "redirects to http://127.0.0.1:1/elsewhere: set")
	var got map[string]struct{ Status, Error string }
	r.read(charts, &got)
	if c := got["queue_memory_usage_approx_bytes"]; c.Status != "error" || c.Error != "too many points" {
		t.Errorf("its error is shown as %+v", c)
	}

	_, r = withPrometheus(t, func(w http.ResponseWriter, _ string) { _, _ = w.Write([]byte("<html>hello</html>")) })
	unavailable(r, "not one of Prometheus")

	nobody := httptest.NewServer(http.NotFoundHandler())
	u, _ := url.Parse(nobody.URL)
	nobody.Close()
	var log buffer
	r = open(t, redistest.Embedded(t), dashboard.Config{Prometheus: u, Log: log.logger()})
	unavailable(r, "refused")
	if !strings.Contains(log.String(), "no charts") {
		t.Errorf("the log: %q", log.String())
	}

	r = open(t, redistest.Embedded(t), dashboard.Config{})
	r.text(r.call("GET", charts, ""), 404)
}

// FuzzChartsInput: whatever the page asks for, no query has a matcher that is not one
// of queues.
func FuzzChartsInput(f *testing.F) {
	f.Add("3600", "1795486982", "default,low")
	f.Add("1", "", `a"} or up{`)
	f.Add("", "x", "a\\")
	p, room := withPrometheus(f, success)
	f.Fuzz(func(t *testing.T, duration, end, queues string) {
		p.asked = nil
		r := room.at(t)
		form := url.Values{"duration": {duration}, "endtime": {end}, "queues": {queues}}
		status := r.call("GET", charts+"?"+form.Encode(), "").StatusCode
		if (status == 200) == (len(p.asked) == 0) || status != 200 && status != 400 {
			t.Errorf("status %d, asked %v", status, p.asked)
		}
		for _, q := range p.asked {
			query := q.Get("query")
			parts := strings.Split(query, `queue=~"`)
			for _, part := range parts[1:] {
				name, _, _ := strings.Cut(part, `"`)
				if name != strings.ReplaceAll(queues, ",", "|") || strings.ContainsAny(name, "\\{}()*. ") {
					t.Errorf("query %s", query)
				}
			}
			if queues != "" && slices.Contains(parts, query) {
				t.Errorf("query %s without the queues", query)
			}
		}
	})
}
