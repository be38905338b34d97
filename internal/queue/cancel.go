package queue

import (
	"context"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/results"
)

// Cancel ends a task: see tasks.Client.Cancel. With tidy it also deletes a canceled task from asynq's queue.
func (q *Queue) Cancel(ctx context.Context, id string, tidy bool) (results.Status, error) {
	r, err := q.Records.Cancel(ctx, id)
	if err != nil {
		return "", err
	}
	if r.Status.Terminal() {
		// Before it leaves the queue: see tally.Tally.
		if err := q.Tally.MarkResult(ctx, r); err != nil {
			return "", err
		}
	}
	place := lane.Place{Lane: r.Lane, Queue: r.Queue, ID: id}
	if r.Status == results.Canceled && r.Queue != "" && (tidy || place.Lane != "") {
		// A task that cannot be deleted costs a line in asynqmon: a worker that gets it sees that its record has ended. A turn
		// that waits far ahead would stay for good, so it is always deleted.
		_ = q.Inspector.DeleteTask(r.Queue, id)
	}
	switch {
	case r.Status.Terminal() && place.Lane != "":
		// A failed turn may still keep its conversation waiting, if its on_turn_failure is lane.Block.
		err = q.Lanes.Leave(ctx, place)
	case r.Status == results.Waiting, r.Status == results.Queued:
		// It has a chat at Coze (a queued one, of an earlier run). A worker must cancel it now, not when the wait is over.
		err = q.Lanes.Run(ctx, place)
	}
	if err != nil {
		return "", err
	}
	return r.Status, nil
}
