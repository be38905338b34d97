package telemetry

import (
	"fmt"
	"slices"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
)

// ServerCollector counts live workers at each scrape. All processes of one Redis report the same numbers: take the maximum,
// not the sum. A killed worker counts for 10 s more.
type ServerCollector struct {
	inspector *asynq.Inspector
	queues    []string
	workers   *prometheus.Desc
	serving   *prometheus.Desc
}

// NewServerCollector returns a collector for the workers of rdb. The named queues are shown even if no worker serves them.
func NewServerCollector(rdb redis.UniversalClient, queues []string) *ServerCollector {
	return &ServerCollector{
		inspector: asynq.NewInspectorFromRedisClient(rdb),
		queues:    queues,
		workers: prometheus.NewDesc("cozeq_workers",
			"Live worker processes.", nil, nil),
		serving: prometheus.NewDesc("cozeq_queue_workers",
			"Live worker processes that serve the queue.", []string{"queue"}, nil),
	}
}

func (c *ServerCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.workers
	ch <- c.serving
}

// Collect implements prometheus.Collector. It also shows queues that have tasks and no worker.
func (c *ServerCollector) Collect(ch chan<- prometheus.Metric) {
	servers, err := c.inspector.Servers()
	if err != nil {
		return
	}
	used, err := c.inspector.Queues()
	if err != nil {
		return
	}
	serving := make(map[string]int)
	for _, queue := range slices.Concat(used, c.queues) {
		serving[queue] = 0
	}
	processes := make(map[string]map[string]bool) // a Worker is several asynq Servers
	workers := make(map[string]bool)
	for _, s := range servers {
		if s.Status != "active" {
			continue
		}
		process := fmt.Sprint(s.Host, " ", s.PID)
		if asynqx.IsWorker(s) {
			workers[process] = true
		}
		if processes[process] == nil {
			processes[process] = make(map[string]bool)
		}
		for queue := range s.Queues {
			processes[process][queue] = true
		}
	}
	for _, queues := range processes {
		for queue := range queues {
			serving[queue]++
		}
	}
	ch <- prometheus.MustNewConstMetric(c.workers, prometheus.GaugeValue, float64(len(workers)))
	for queue, n := range serving {
		ch <- prometheus.MustNewConstMetric(c.serving, prometheus.GaugeValue, float64(n), queue)
	}
}
