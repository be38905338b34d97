package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cozeq/cozeq/coze/oauth"
	"github.com/cozeq/cozeq/worker"
)

// newMetrics are the counters of this process's worker, and the handler that shows
// them together with what is told of the queues, of Redis, of tokens and of the
// process.
func newMetrics(s *session, a account, queues []string) (*worker.Metrics, http.Handler) {
	registry := prometheus.NewRegistry()
	metrics := registerMetrics(registry, s, a, queues)
	return metrics, showMetrics(registry)
}

func registerMetrics(reg prometheus.Registerer, s *session, a account, queues []string) *worker.Metrics {
	metrics := worker.NewMetrics(reg)
	reg.MustRegister(newTokenCollector(a))
	observe(reg, s, queues)
	return metrics
}

// newObserver shows what Redis knows, for a process without a worker: also when there
// is no worker at all.
func newObserver(s *session) http.Handler {
	registry := prometheus.NewRegistry()
	observe(registry, s, nil)
	return showMetrics(registry)
}

// observe mirrors what Redis knows, of these queues or, with none, of all.
func observe(reg prometheus.Registerer, s *session, queues []string) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cozeq_build_info", Help: "1, with the version that runs.",
		ConstLabels: prometheus.Labels{"version": s.version},
	})
	build.Set(1)
	reg.MustRegister(worker.Collectors(s.rdb, queues)...)
	reg.MustRegister(
		build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
}

func showMetrics(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// tokenCollector tells when tokens end that somebody has to replace. Those of an OAuth
// app are renewed by themselves.
type tokenCollector struct {
	credentials []credential
	expires     *prometheus.Desc
}

func newTokenCollector(a account) *tokenCollector {
	return &tokenCollector{
		credentials: append([]credential{a.credential}, a.others...),
		expires: prometheus.NewDesc("cozeq_token_expires_timestamp_seconds",
			"When the credential's token ends: as it was set, else, for a personal token in a file, at the latest.",
			[]string{"credential"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (t *tokenCollector) Describe(ch chan<- *prometheus.Desc) { ch <- t.expires }

// Collect implements prometheus.Collector. Of several credentials with one token the
// earliest end is told.
func (t *tokenCollector) Collect(ch chan<- prometheus.Metric) {
	ends := make(map[string]time.Time)
	for _, c := range t.credentials {
		if _, renewed := c.token.(*oauth.Source); renewed || c.token == nil {
			continue
		}
		token, err := c.token.Token(context.Background())
		if err != nil {
			continue
		}
		id, err := c.over(nil).Identity(context.Background())
		end := c.life.end(token)
		if err != nil || end.IsZero() {
			continue
		}
		if known, ok := ends[id]; !ok || end.Before(known) {
			ends[id] = end
		}
	}
	for id, end := range ends {
		ch <- prometheus.MustNewConstMetric(t.expires, prometheus.GaugeValue, float64(end.Unix()), id)
	}
}
