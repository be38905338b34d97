// Package queue puts tasks into asynq's queues and takes them out again: the steps between a
// task's record, the lane of its conversation and asynq, for tasks and tasks/batches, which
// make the payloads. It knows nothing of what is in them.
package queue

import (
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
)

// Grace is how much longer than the task's own timeout asynq waits before it
// takes a handler for lost: the worker ends a chat in time by itself, and asynq's
// timeout would only start a second handler beside the first.
const Grace = time.Minute

// Queue is the queues of a Redis, with all that a task has there.
type Queue struct {
	Results   *results.Store
	Records   *record.Store
	Lanes     *lane.Lanes
	Tally     *tally.Tally
	Inspector *asynq.Inspector

	bulk *asynqx.Bulk
}

// New returns the queues in the Redis of the store.
func New(store *results.Store) *Queue {
	rdb := store.Redis()
	return &Queue{
		Results:   store,
		Records:   record.New(store),
		Lanes:     lane.New(rdb),
		Tally:     tally.New(rdb),
		Inspector: asynq.NewInspectorFromRedisClient(rdb),
		bulk:      asynqx.NewBulk(rdb),
	}
}
