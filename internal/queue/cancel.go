package queue

import (
	"context"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/results"
)

// Cancel ends a task: see tasks.Client.Cancel. With tidy a task that has ended is taken out
// of the queue, too.
func (q *Queue) Cancel(ctx context.Context, id string, tidy bool) (results.Status, error) {
	r, err := q.Records.Cancel(ctx, id)
	if err != nil {
		return "", err
	}
	place := lane.Place{Lane: r.Lane, Queue: r.Queue, ID: id}
	if r.Status.Terminal() {
		// Before it is taken out of the queue: see tally.Tally.
		if err := q.Tally.MarkResult(ctx, r); err != nil {
			return "", err
		}
	}
	switch {
	case r.Status == results.Canceled && r.Queue != "":
		// The record has ended, and a worker that gets the task all the same lets
		// it go: what cannot be deleted costs a line in asynqmon and no more. A turn
		// that waits far ahead nobody would get.
		if tidy || place.Lane != "" {
			_ = q.Inspector.DeleteTask(r.Queue, id)
		}
		if place.Lane != "" {
			if err := q.Lanes.Leave(ctx, place); err != nil {
				return "", err
			}
		}
	case r.Status.Terminal() && place.Lane != "":
		// A turn that failed may still hold its conversation up: see tasks.TurnBlock.
		if err := q.Lanes.Leave(ctx, place); err != nil {
			return "", err
		}
	case r.Status == results.Waiting, r.Status == results.Queued:
		// It has a chat at Coze (a queued one from an earlier run), which a worker
		// must cancel: now, not when the wait is over.
		if err := q.Lanes.Run(ctx, place); err != nil {
			return "", err
		}
	}
	return r.Status, nil
}
