package httpserver

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cozeq/cozeq/coze/oauth"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/worker"
)

// NewMetrics returns the counters of this process's worker, and a handler that shows them with what is known of the queues,
// Redis, tokens and the process.
func NewMetrics(s *session.Session, a settings.Account, queues []string) (*worker.Metrics, http.Handler) {
	registry := prometheus.NewRegistry()
	metrics := RegisterMetrics(registry, s, a, queues)
	return metrics, showMetrics(registry)
}

func RegisterMetrics(reg prometheus.Registerer, s *session.Session, a settings.Account, queues []string) *worker.Metrics {
	metrics := worker.NewMetrics(reg)
	reg.MustRegister(NewTokenCollector(a), s.Uploads)
	observe(reg, s, queues)
	return metrics
}

// NewObserver shows what Redis knows. It needs no worker.
func NewObserver(s *session.Session) http.Handler {
	registry := prometheus.NewRegistry()
	observe(registry, s, nil)
	return showMetrics(registry)
}

// Observe shows what Redis knows of all queues, and the uploads of this process, which has no worker.
func Observe(reg prometheus.Registerer, s *session.Session) {
	reg.MustRegister(s.Uploads)
	observe(reg, s, nil)
}

// observe mirrors what Redis knows of these queues, or of all if none is named.
func observe(reg prometheus.Registerer, s *session.Session, queues []string) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cozeq_build_info", Help: "1, with the version that runs.",
		ConstLabels: prometheus.Labels{"version": s.Version},
	})
	build.Set(1)
	reg.MustRegister(worker.Collectors(s.Redis, queues)...)
	reg.MustRegister(
		build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
}

func showMetrics(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// tokenCollector exports the ends of tokens that a person has to replace. Tokens of an OAuth app renew themselves.
type tokenCollector struct {
	credentials []settings.Credential
	expires     *prometheus.Desc
}

func NewTokenCollector(a settings.Account) *tokenCollector {
	return &tokenCollector{
		credentials: append([]settings.Credential{a.Credential}, a.Others...),
		expires: prometheus.NewDesc("cozeq_token_expires_timestamp_seconds",
			"When the credential's token ends: as it was set, else, for a personal token in a file, at the latest.",
			[]string{"credential"}, nil),
	}
}

func (t *tokenCollector) Describe(ch chan<- *prometheus.Desc) { ch <- t.expires }

// Collect implements prometheus.Collector. If several credentials have one token, the earliest end counts.
func (t *tokenCollector) Collect(ch chan<- prometheus.Metric) {
	ends := make(map[string]time.Time)
	for _, c := range t.credentials {
		if _, renewed := c.Token.(*oauth.Source); renewed || c.Token == nil {
			continue
		}
		token, err := c.Token.Token(context.Background())
		if err != nil {
			continue
		}
		id, err := c.Over(nil).Identity(context.Background())
		end := c.Life.End(token)
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
