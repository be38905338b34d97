package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics count what a Sender does. A nil metrics counts nothing.
type metrics struct {
	tries   *prometheus.CounterVec
	givenUp prometheus.Counter
	took    prometheus.Histogram
	delay   prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		return nil
	}
	auto := promauto.With(reg)
	m := &metrics{
		tries: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_webhook_deliveries_total",
			Help: "Tries to deliver a webhook, by outcome: delivered, refused (a status that is no success), gone (410), timeout, unreachable, blocked (a private address), unsigned (no such secret).",
		}, []string{"outcome"}),
		givenUp: auto.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_webhook_given_up_total",
			Help: "Webhooks that were not delivered at their last try. They are archived in the queue webhooks.",
		}),
		took: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_webhook_delivery_seconds", Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20},
			Help: "From connecting to a receiver to its answer, for each try.",
		}),
		delay: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_webhook_delay_seconds", Buckets: []float64{0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400},
			Help: "From the end of a task or batch to its first try.",
		}),
	}
	for _, o := range outcomes {
		m.tries.WithLabelValues(string(o))
	}
	return m
}

func (m *metrics) tried(a attempt, took time.Duration) {
	if m == nil {
		return
	}
	m.tries.WithLabelValues(string(a.outcome)).Inc()
	if a.outcome != unsigned {
		m.took.Observe(took.Seconds())
	}
}

func (m *metrics) began(ended, now time.Time) {
	if m != nil && !ended.IsZero() {
		m.delay.Observe(max(0, now.Sub(ended).Seconds()))
	}
}

func (m *metrics) gaveUp() {
	if m != nil {
		m.givenUp.Inc()
	}
}
