package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what a worker does. Labels are bounded: queues, verdicts and
// classes, never a bot, a user or a conversation. A nil Metrics counts nothing.
type Metrics struct {
	tasks    *prometheus.CounterVec
	waits    *prometheus.CounterVec
	inFlight prometheus.Gauge
	slots    prometheus.Gauge
	first    prometheus.Histogram
	duration prometheus.Histogram
	pickup   *prometheus.HistogramVec
	tokens   *prometheus.CounterVec
	lookUps  prometheus.Counter
	orphans  prometheus.Counter
	permits  prometheus.Histogram
	unknown  prometheus.Counter
}

// chatBuckets cover a cached reply to a workflow of ten minutes, in seconds.
var chatBuckets = []float64{0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600}

// NewMetrics registers a worker's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		tasks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_tasks_total",
			Help: "Tasks that ended, by queue, status (completed, failed, canceled, expired) and error class.",
		}, []string{"queue", "status", "class"}),
		waits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_waits_total",
			Help: "Attempts that did not end their task, by verdict (retry uses up an attempt, later does not) and error class.",
		}, []string{"verdict", "class"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cozeq_chats_in_flight",
			Help: "Attempts running in this process.",
		}),
		slots: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cozeq_concurrency",
			Help: "The most attempts that this process runs at a time.",
		}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_time_to_first_token_seconds", Buckets: chatBuckets,
			Help: "From sending a question to the first piece of its answer.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_chat_duration_seconds", Buckets: chatBuckets,
			Help: "From the start of an attempt to its answer.",
		}),
		pickup: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cozeq_pickup_seconds",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800, 7200},
			Help:    "From the enqueueing of a task to its first attempt, by queue.",
		}, []string{"queue"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_tokens_total",
			Help: "Tokens that Coze counted, by direction (input, output).",
		}, []string{"direction"}),
		lookUps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_lookups_total",
			Help: "Chats that were looked up instead of asked again.",
		}),
		orphans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_orphans_total",
			Help: "Tasks of dead workers that were put back in the queue.",
		}),
		permits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_permit_wait_seconds", Buckets: []float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60},
			Help: "How long an attempt waited in its slot for the rate limit, before it asked.",
		}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_unknown_codes_total",
			Help: "Answers of Coze with a code that is not in the table. The log names each code once.",
		}),
	}
	reg.MustRegister(m.orphans, m.tasks, m.waits, m.inFlight, m.slots, m.first, m.duration, m.pickup, m.tokens, m.lookUps, m.permits, m.unknown)
	return m
}

func (m *Metrics) concurrency(n int) {
	if m != nil {
		m.slots.Set(float64(n))
	}
}

func (m *Metrics) begin(a *attempt) {
	if m == nil {
		return
	}
	m.inFlight.Inc()
	r := &a.rec.Result
	if a.first() {
		m.pickup.WithLabelValues(r.Queue).Observe(max(0, r.StartedAt.Sub(r.CreatedAt.Time).Seconds()))
	}
}

func (m *Metrics) end(a *attempt, v Verdict, took time.Duration) {
	if m == nil {
		return
	}
	m.inFlight.Dec()
	switch v.Action {
	case Retry, Later, Drop:
		m.waits.WithLabelValues(v.Action.String(), string(v.Class)).Inc()
		return
	case Done:
		m.duration.Observe(took.Seconds())
	}
	r := &a.rec.Result
	m.tasks.WithLabelValues(r.Queue, string(r.Status), string(v.Class)).Inc()
	if u := r.Usage; u != nil {
		m.tokens.WithLabelValues("input").Add(float64(u.InputCount))
		m.tokens.WithLabelValues("output").Add(float64(u.OutputCount))
	}
}

func (m *Metrics) firstToken(d time.Duration) {
	if m != nil {
		m.first.Observe(d.Seconds())
	}
}

func (m *Metrics) revived() {
	if m != nil {
		m.orphans.Inc()
	}
}

func (m *Metrics) lookUp() {
	if m != nil {
		m.lookUps.Inc()
	}
}

func (m *Metrics) permitted(waited time.Duration) {
	if m != nil {
		m.permits.Observe(waited.Seconds())
	}
}

func (m *Metrics) unknownCode() {
	if m != nil {
		m.unknown.Inc()
	}
}
