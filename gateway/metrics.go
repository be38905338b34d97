package gateway

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/watch"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	first    prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, hub *watch.Hub, keys *apikey.File) *metrics {
	auto := promauto.With(r) // registers nothing where r is nil
	m := &metrics{
		requests: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_http_requests_total", Help: "HTTP requests that ended, by route, status and API key.",
		}, []string{"route", "status", "key"}),
		seconds: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cozeq_http_request_seconds", Help: "Duration of HTTP requests by route, less what Prefer: wait and ?wait asked for. Streams and answers of OpenAI's API last as long as their chats.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}, []string{"route"}),
		inFlight: auto.NewGauge(prometheus.GaugeOpts{
			Name: "cozeq_http_requests_in_flight", Help: "HTTP requests that are being answered, event streams included.",
		}),
		first: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_http_first_delta_seconds", Help: "From a streaming request of OpenAI's API to the first piece of its answer.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900},
		}),
	}
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cozeq_http_watchers", Help: "Requests that watch a task: event streams, and OpenAI's that wait for an answer.",
	}, func() float64 { return float64(hub.Watchers()) })
	if r != nil && keys != nil {
		r.MustRegister(&keyCollector{keys})
	}
	return m
}

func (m *metrics) observe(c *call, took time.Duration) {
	m.requests.WithLabelValues(c.route, strconv.Itoa(c.status), c.key).Inc()
	m.seconds.WithLabelValues(c.route).Observe((took - c.waited).Seconds())
}

func (m *metrics) firstDelta(after time.Duration) { m.first.Observe(after.Seconds()) }

// keyCollector exports when keys expire, those that do.
type keyCollector struct{ keys *apikey.File }

var keyExpires = prometheus.NewDesc("cozeq_api_key_expires_timestamp_seconds", "When the API key expires, for those that do.", []string{"key"}, nil)

func (*keyCollector) Describe(ch chan<- *prometheus.Desc) { ch <- keyExpires }

func (c *keyCollector) Collect(ch chan<- prometheus.Metric) {
	for _, key := range c.keys.Keys() {
		if !key.Expires.IsZero() {
			ch <- prometheus.MustNewConstMetric(keyExpires, prometheus.GaugeValue, float64(key.Expires.Unix()), key.Name)
		}
	}
}
