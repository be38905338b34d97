package worker

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/ratelimit"
	"github.com/cozeq/cozeq/internal/recovery"
	"github.com/cozeq/cozeq/internal/telemetry"
)

// What a program that operates workers may read and do. It needs no worker of its own.
type (
	Pause      = pause.Pause         // one pause as it stands
	QueuePause = pause.QueuePause    // the pause of one queue, as asynqmon shows it
	Limit      = ratelimit.Limit     // what the workers of one Redis have learnt of a credential's limit
	Unreadable = recovery.Unreadable // a task that was taken out of its queue: see Unreadables
)

// Pauses returns the pauses in this Redis.
func Pauses(ctx context.Context, rdb redis.UniversalClient) ([]Pause, error) {
	return pause.All(ctx, rdb)
}

// ProbeNow makes a probe of every pause due now, and returns how many pauses there are.
func ProbeNow(ctx context.Context, rdb redis.UniversalClient) (int, error) {
	return pause.ProbeNow(ctx, rdb)
}

// PausedQueue returns the pause of a queue; ok is false if there is none.
func PausedQueue(ctx context.Context, rdb redis.UniversalClient, queue string) (p QueuePause, ok bool, err error) {
	return pause.PausedQueue(ctx, rdb, queue)
}

// PauseQueue pauses a queue for an operator, as asynqmon would. Only ResumeQueue or asynqmon ends that. A pause that cozeq has
// made becomes the operator's. fresh is false if it was the operator's already.
func PauseQueue(ctx context.Context, rdb redis.UniversalClient, queue string) (fresh bool, err error) {
	return asynqx.QueuePauses{Redis: rdb}.OperatorPause(ctx, queue)
}

// ResumeQueue ends an operator's pause. resumed is false if there is none. A pause that cozeq has made ends when a probe is
// answered: see ProbeNow.
func ResumeQueue(ctx context.Context, rdb redis.UniversalClient, queue string) (resumed bool, err error) {
	return asynqx.QueuePauses{Redis: rdb}.OperatorResume(ctx, queue)
}

// KnowLimits gives the workers of a Redis the rates that an earlier run had learnt, in calls a second by credential. Rates that
// they have learnt themselves stay.
func KnowLimits(ctx context.Context, rdb redis.UniversalClient, rates map[string]float64) error {
	return ratelimit.KnowAll(ctx, rdb, rates)
}

// Limits returns the limits of all credentials that are served, or were within the
// last hour, sorted by when they were served last.
func Limits(ctx context.Context, rdb redis.UniversalClient) ([]Limit, error) {
	return ratelimit.All(ctx, rdb)
}

// Unreadables lists the tasks that were taken out of these queues because their messages cannot be read, the oldest first.
// Each is listed for some days.
func Unreadables(ctx context.Context, rdb redis.UniversalClient, queues ...string) ([]Unreadable, error) {
	return recovery.Unreadables(ctx, rdb, queues...)
}

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
