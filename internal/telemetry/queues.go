package telemetry

import (
	"context"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
)

// QueueCollector mirrors the state of the queues at each scrape. All workers of
// one Redis report the same numbers: take the maximum, not the sum.
type QueueCollector struct {
	rdb       redis.UniversalClient
	inspector *asynq.Inspector
	queues    []string
	tasks     *prometheus.Desc
	age       *prometheus.Desc
	paused    *prometheus.Desc
	memory    *prometheus.Desc
	tenants   *prometheus.Desc
}

// NewQueueCollector returns a collector for these queues of rdb; with none, for all
// that there are.
func NewQueueCollector(rdb redis.UniversalClient, queues []string) *QueueCollector {
	return &QueueCollector{
		rdb:       rdb,
		inspector: asynq.NewInspectorFromRedisClient(rdb),
		queues:    queues,
		tasks: prometheus.NewDesc("cozeq_queue_tasks",
			"Tasks in the queue, by asynq's state.", []string{"queue", "state"}, nil),
		age: prometheus.NewDesc("cozeq_queue_oldest_pending_seconds",
			"Age of the oldest pending task, 0 if there is none.", []string{"queue"}, nil),
		paused: prometheus.NewDesc("cozeq_queue_paused",
			"1 if the queue is paused.", []string{"queue"}, nil),
		memory: prometheus.NewDesc("cozeq_queue_memory_bytes",
			"Memory of the queue's tasks in Redis, without their results, estimated from samples.", []string{"queue"}, nil),
		tenants: prometheus.NewDesc("cozeq_tenant_waiting_tasks",
			"Tasks of the tenant (the name of an API key) that wait for a worker.", []string{"queue", "tenant"}, nil),
	}
}

func (c *QueueCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.tasks
	ch <- c.age
	ch <- c.paused
	ch <- c.memory
	ch <- c.tenants
}

// Collect implements prometheus.Collector. A queue that nobody has enqueued to
// yet is left out.
func (c *QueueCollector) Collect(ch chan<- prometheus.Metric) {
	queues := c.queues
	if len(queues) == 0 {
		var err error
		if queues, err = c.inspector.Queues(); err != nil {
			return
		}
	}
	for _, queue := range queues {
		info, err := asynqx.QueueInfo(context.Background(), c.rdb, queue)
		if err != nil {
			continue
		}
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
		}
		gauge(c.tasks, float64(info.Pending), queue, "pending")
		gauge(c.tasks, float64(info.Active), queue, "active")
		gauge(c.tasks, float64(info.Scheduled), queue, "scheduled")
		gauge(c.tasks, float64(info.Retry), queue, "retry")
		gauge(c.tasks, float64(info.Archived), queue, "archived")
		gauge(c.tasks, float64(info.Completed), queue, "completed")
		gauge(c.age, info.Latency.Seconds(), queue)
		paused := 0.0
		if info.Paused {
			paused = 1
		}
		gauge(c.paused, paused, queue)
		gauge(c.memory, float64(info.MemoryUsage), queue)
		waiting, _ := asynqx.Tenants(context.Background(), c.rdb, queue) // what fails here has failed above
		for _, w := range waiting {
			gauge(c.tenants, float64(w.Tasks), queue, w.Tenant)
		}
	}
}
