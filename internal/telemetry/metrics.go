package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/cozeq/cozeq/results"
)

// Metrics counts what a worker does. A nil Metrics counts nothing.
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
	tools    *prometheus.CounterVec
	asksBack prometheus.Counter
}

// NewUploads makes the counter of uploaded files. Programs that see the files have it; a worker does not.
func NewUploads() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cozeq_uploads_total",
		Help: "Files to send with questions, by outcome (uploaded; reused, as the same content was uploaded before; refused by Coze; failed).",
	}, []string{"outcome"})
}

// chatBuckets reach from a cached reply to a workflow of ten minutes, in seconds.
var chatBuckets = []float64{0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600}

func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto := promauto.With(reg)
	return &Metrics{
		tasks: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_tasks_total",
			Help: "Tasks that ended, by queue, status (completed, failed, canceled, expired) and error class.",
		}, []string{"queue", "status", "class"}),
		waits: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_waits_total",
			Help: "Attempts that did not end their task, by verdict (retry uses up an attempt, later does not) and error class.",
		}, []string{"verdict", "class"}),
		inFlight: auto.NewGauge(prometheus.GaugeOpts{
			Name: "cozeq_chats_in_flight",
			Help: "Attempts running in this process.",
		}),
		slots: auto.NewGauge(prometheus.GaugeOpts{
			Name: "cozeq_concurrency",
			Help: "The most attempts that this process runs at a time.",
		}),
		first: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_time_to_first_token_seconds", Buckets: chatBuckets,
			Help: "From sending a question to the first piece of its answer.",
		}),
		duration: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_chat_duration_seconds", Buckets: chatBuckets,
			Help: "From the start of an attempt to its answer.",
		}),
		pickup: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cozeq_pickup_seconds",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800, 7200},
			Help:    "From the enqueueing of a task to its first attempt, by queue.",
		}, []string{"queue"}),
		tokens: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_tokens_total",
			Help: "Tokens that Coze counted, by direction (input, output).",
		}, []string{"direction"}),
		lookUps: auto.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_lookups_total",
			Help: "Chats that were looked up instead of asked again.",
		}),
		orphans: auto.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_orphans_total",
			Help: "Tasks of dead workers that were put back in the queue.",
		}),
		permits: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cozeq_permit_wait_seconds", Buckets: []float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60},
			Help: "How long an attempt waited in its slot for the rate limit, before it asked.",
		}),
		unknown: auto.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_unknown_codes_total",
			Help: "Answers of Coze with a code that is not in the table. The log names each code once.",
		}),
		tools: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cozeq_tool_calls_total",
			Help: "Calls of client-side tools, by tool and outcome (ok, error, timeout, interrupted, abandoned; or, under no name, missing).",
		}, []string{"tool", "outcome"}),
		asksBack: auto.NewCounter(prometheus.CounterOpts{
			Name: "cozeq_asks_back_total",
			Help: "Answers with which a bot or chatflow asks back.",
		}),
	}
}

func (m *Metrics) Concurrency(n int) {
	if m != nil {
		m.slots.Set(float64(n))
	}
}

// Begin counts an attempt that has begun; first: no worker has taken the task up before.
func (m *Metrics) Begin(r *results.Result, first bool) {
	if m == nil {
		return
	}
	m.inFlight.Inc()
	if first {
		m.pickup.WithLabelValues(r.Queue).Observe(max(0, r.StartedAt.Sub(r.CreatedAt.Time).Seconds()))
	}
}

// PutBack counts an attempt that did not end its task.
func (m *Metrics) PutBack(verdict, class string) {
	if m == nil {
		return
	}
	m.inFlight.Dec()
	m.waits.WithLabelValues(verdict, class).Inc()
}

func (m *Metrics) End(r *results.Result, class string, took time.Duration) {
	if m == nil {
		return
	}
	m.inFlight.Dec()
	if r.Status == results.Completed {
		m.duration.Observe(took.Seconds())
	}
	m.tasks.WithLabelValues(r.Queue, string(r.Status), class).Inc()
	if r.AsksBack != "" {
		m.asksBack.Inc()
	}
	if u := r.Usage; u != nil {
		m.tokens.WithLabelValues("input").Add(float64(u.InputCount))
		m.tokens.WithLabelValues("output").Add(float64(u.OutputCount))
	}
}

// FirstToken notes the time from sending a question to the first piece of its answer.
func (m *Metrics) FirstToken(d time.Duration) {
	if m != nil {
		m.first.Observe(d.Seconds())
	}
}

// Revived counts a dead worker's task that was put back.
func (m *Metrics) Revived() {
	if m != nil {
		m.orphans.Inc()
	}
}

func (m *Metrics) LookUp() {
	if m != nil {
		m.lookUps.Inc()
	}
}

// Permitted notes how long an attempt waited for its permit.
func (m *Metrics) Permitted(waited time.Duration) {
	if m != nil {
		m.permits.Observe(waited.Seconds())
	}
}

func (m *Metrics) ToolCall(tool, outcome string) {
	if m != nil {
		m.tools.WithLabelValues(tool, outcome).Inc()
	}
}

// UnknownCode counts an answer with a code that is not in the table.
func (m *Metrics) UnknownCode() {
	if m != nil {
		m.unknown.Inc()
	}
}
