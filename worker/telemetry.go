package worker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/telemetry"
)

// Metrics counts what a worker does, see [Config].
type Metrics = telemetry.Metrics

// NewMetrics registers a worker's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics { return telemetry.NewMetrics(reg) }

// Collectors mirror at each scrape what a Redis says of its queues, workers, pauses and rate limits, and of itself. They
// need no worker in the process. With no queues named, all that exist are shown. All processes of one Redis report the same
// numbers: take the maximum, not the sum.
func Collectors(rdb redis.UniversalClient, queues []string) []prometheus.Collector {
	return []prometheus.Collector{
		telemetry.NewQueueCollector(rdb, queues), telemetry.NewPauseCollector(rdb),
		telemetry.NewServerCollector(rdb, queues), telemetry.NewRedisCollector(rdb),
	}
}
