package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/asynqx"
)

// asynq dequeues with one goroutine a Server, one round trip a task. At 2.5 ms to Redis that is under 200 tasks a second,
// whatever the concurrency. So a Worker is several Servers that share the concurrency, one for each slotsPerServer slots.
const (
	maxServers     = 8
	slotsPerServer = 16
)

// Intervals of asynq's own machinery. Only the first Server of a process moves due tasks and clears completed ones: the others
// would do the same work on the same keys.
const (
	forwardEvery = 200 * time.Millisecond // a back-off of 1 s takes about 1 s
	janitorEvery = 10 * time.Second
	idleEvery    = time.Hour
	checkEvery   = time.Microsecond // the Poller does the waiting, see there
)

func split(concurrency int) []int {
	n := min(maxServers, max(1, concurrency/slotsPerServer))
	shares := make([]int, n)
	for i := range shares {
		shares[i] = (concurrency + i) / n // sums up to concurrency
	}
	return shares
}

func queueNames(queues map[string]int) []string {
	return slices.Sorted(maps.Keys(queues))
}

func (w *Worker) newServer(i, concurrency int) *asynq.Server {
	forward, janitor := forwardEvery, janitorEvery
	if i > 0 {
		forward, janitor = idleEvery, idleEvery
	}
	return asynq.NewServerFromRedisClient(w.poller.Client(), asynq.Config{
		Concurrency:              concurrency,
		Queues:                   w.cfg.Queues,
		TaskCheckInterval:        checkEvery,
		DelayedTaskCheckInterval: forward,
		JanitorInterval:          janitor,
		ShutdownTimeout:          max(w.cfg.Drain, time.Millisecond), // 0 would be asynq's default, 8 s
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		ErrorHandler:             asynq.ErrorHandlerFunc(w.tooLate),
		Logger:                   asynqx.Log{To: w.log},
		LogLevel:                 asynq.WarnLevel,
		BaseContext:              context.Background,
	})
}
