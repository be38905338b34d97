package tasks

import (
	"context"

	"github.com/cozeq/cozeq/results"
)

// Cancel ends a task. One that was not asked yet never is: its status is
// canceled when Cancel returns. One that runs is canceled by its worker a moment
// later, at Coze too; the status returned is then the one it had. A task that has
// ended stays as it is; if it failed and holds its conversation up, that goes on.
//
// asynq's own CancelProcessing is of no use here: it ends in a retry.
func (c *Client) Cancel(ctx context.Context, id string) (results.Status, error) {
	return c.cancel(ctx, id, true)
}

// cancel is Cancel; tidy takes a task that has ended out of the queue.
func (c *Client) cancel(ctx context.Context, id string, tidy bool) (results.Status, error) {
	r, err := c.results.Cancel(ctx, id)
	if err != nil {
		return "", err
	}
	place := Place{Lane: r.Lane, Queue: r.Queue, ID: id}
	if r.Status.Terminal() {
		// Before it is taken out of the queue: see Tally.
		if err := c.tally.MarkResult(ctx, r); err != nil {
			return "", err
		}
	}
	switch {
	case r.Status == results.Canceled && r.Queue != "":
		// The record has ended, and a worker that gets the task all the same lets
		// it go: what cannot be deleted costs a line in asynqmon and no more. A turn
		// that waits far ahead nobody would get.
		if tidy || place.Lane != "" {
			_ = c.inspector.DeleteTask(r.Queue, id)
		}
		if place.Lane != "" {
			if err := c.lanes.Leave(ctx, place); err != nil {
				return "", err
			}
		}
	case r.Status.Terminal() && place.Lane != "":
		// A turn that failed may still hold its conversation up: see TurnBlock.
		if err := c.lanes.Leave(ctx, place); err != nil {
			return "", err
		}
	case r.Status == results.Waiting, r.Status == results.Queued:
		// It has a chat at Coze (a queued one from an earlier run), which a worker
		// must cancel: now, not when the wait is over.
		if err := c.lanes.Run(ctx, place); err != nil {
			return "", err
		}
	}
	return r.Status, nil
}
