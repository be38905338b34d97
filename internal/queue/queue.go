// Package queue moves tasks into asynq's queues and takes them out again. Between a task's record, the lane of its
// conversation and asynq there are several keys and no common transaction. This package knows the order of the steps, and
// how each is repeated. Packages tasks and batches make the payloads, which it does not read.
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

// Grace is how much longer asynq waits for a handler than the task's own timeout. The worker ends a chat in time by itself;
// asynq's timeout would start a second handler beside it.
const Grace = time.Minute

// Queue is the queues of one Redis, with everything that belongs to a task.
type Queue struct {
	Results   *results.Store
	Records   *record.Store
	Lanes     *lane.Lanes
	Tally     *tally.Tally
	Inspector *asynq.Inspector

	bulk *asynqx.Bulk
}

func New(store *results.Store) *Queue {
	rdb := store.Redis()
	return &Queue{
		Results:   store,
		Records:   record.New(store),
		Lanes:     lane.New(rdb),
		Tally:     tally.New(rdb),
		Inspector: asynqx.NewInspector(rdb),
		bulk:      asynqx.NewBulk(rdb),
	}
}
