package worker_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// gathered returns a metric's values by its labels, name=value, joined.
func gathered(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			// What is not of the metric's kind is 0; of a histogram it is the count.
			values[strings.Join(labels, ",")] = m.GetGauge().GetValue() + m.GetCounter().GetValue() +
				float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// TestPauseMetrics tells pauses by credential, and never a bot's id.
func TestPauseMetrics(t *testing.T) {
	rdb := redistest.Embedded(t)
	l := newLine(t, rdb)
	reg := prometheus.NewRegistry()
	metrics := worker.NewMetrics(reg)
	reg.MustRegister(worker.Collectors(rdb, nil)...)
	if got := gathered(t, reg, "cozeq_paused"); len(got) != 0 {
		t.Errorf("before any worker: %v", got)
	}
	var id string
	l.work(func(c *worker.Config) {
		c.Metrics = metrics
		var err error
		if id, err = c.Coze.Identity(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	l.ask("hello")
	account, bot := "credential="+id+",scope=credential", "credential="+id+",scope=bot"
	paused := func(wantAccount, wantBot float64) {
		t.Helper()
		got := gathered(t, reg, "cozeq_paused")
		if len(got) != 2 || got[account] != wantAccount || got[bot] != wantBot {
			t.Errorf("paused %v, want %v for the credential and %v for a bot", got, wantAccount, wantBot)
		}
	}
	paused(0, 0)
	if got := gathered(t, reg, "cozeq_rate_limit_calls_per_second"); got["credential="+id] <= 0 {
		t.Errorf("rate %v", got)
	}
	if got := gathered(t, reg, "cozeq_permit_wait_seconds"); got[""] != 1 {
		t.Errorf("permits %v, want one", got)
	}
	l.rules(cozetest.Rule{Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4015}})
	l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
	awaittest.Until(t, "the bot's pause", func() bool { return len(l.paused()) == 1 })
	paused(0, 1)
	l.rules(cozetest.Rule{Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4028}})
	l.enqueue(tasks.Ask("other", "two"), tasks.Options{})
	awaittest.Until(t, "the credential's pause", func() bool { return len(l.paused()) == 2 })
	paused(1, 1)

	limits, err := worker.Limits(t.Context(), rdb)
	if err != nil || len(limits) != 1 || limits[0].Credential != id || !limits[0].Served || limits[0].Rate <= 0 {
		t.Errorf("limits %+v, %v", limits, err)
	}
}

// TestUnknownCodes are counted each time, and logged once each.
func TestUnknownCodes(t *testing.T) {
	l := newLine(t, redistest.Embedded(t))
	l.rules(
		cozetest.Rule{Contains: "unknown", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4987}},
		cozetest.Rule{Contains: "other", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4986}},
		cozetest.Rule{Contains: "known", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4000}},
	)
	if _, listed := coze.DefaultCodes().Lookup(4000); !listed {
		t.Fatal("4000 is not in the table any more: take another")
	}
	reg := prometheus.NewRegistry()
	var log bytes.Buffer
	stop := l.work(func(c *worker.Config) {
		c.Metrics = worker.NewMetrics(reg)
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	for _, question := range []string{"unknown", "unknown, again", "other", "known"} {
		if r := l.ask(question); r.Status != results.Failed || r.Attempts != 1 {
			t.Errorf("%s: %+v", question, r)
		}
	}
	stop()
	if got := gathered(t, reg, "cozeq_unknown_codes_total"); got[""] != 3 {
		t.Errorf("counted %v, want 3", got)
	}
	for code, want := range map[string]int{"4987": 1, "4986": 1, "4000": 0} {
		if got := strings.Count(log.String(), `"code":`+code); got != want {
			t.Errorf("%s logged %d times, want %d:\n%s", code, got, want, log.String())
		}
	}
}
