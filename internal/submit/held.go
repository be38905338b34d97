package submit

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// PausedError refuses a question whose caller waits: a pause would delay it. Nothing was enqueued. Questions are taken while
// a probe is due: one of them is the probe, and without any the pause would never end.
type PausedError struct{ Hold *pause.Hold }

func (e *PausedError) Error() string { return e.Hold.Reason() }

// Held returns what keeps a question of this queue from being asked now; nil: nothing does. id is the task's.
func (c *Client) Held(ctx context.Context, chat *tasks.Chat, queue, id string) (*pause.Hold, error) {
	shard, err := tasks.Shard(cmp.Or(queue, tasks.QueueDefault), cmp.Or(chat.Lane(), id))
	if err != nil {
		return nil, err
	}
	held, err := c.holds.Of(ctx, shard, chat.Credential, chat.Asked())
	return held, Unavailable(err)
}

// checkHeld refuses a question that is held, unless its task is there already: it may have ended.
func (c *Client) checkHeld(ctx context.Context, r *Request, id string) error {
	held, err := c.Held(ctx, r.Chat, r.Options.Queue, id)
	if err != nil || held == nil || held.Due {
		return err
	}
	_, err = c.Tasks.Results().Get(ctx, id)
	if errors.Is(err, results.ErrNotFound) {
		return &PausedError{Hold: held}
	}
	return Unavailable(err)
}

// Wait is why questions of a queue wait.
type Wait struct {
	Reason string    `json:"reason" doc:"why questions wait"`
	Until  time.Time `json:"until,omitzero" doc:"when that is tried again; missing: when somebody acts"`
}

// WaitOf is Wait of what holds a question; nil of nil.
func WaitOf(held *pause.Hold) *Wait {
	if held == nil {
		return nil
	}
	return &Wait{Reason: held.Reason(), Until: held.NextProbe}
}

// QueueWaits returns why questions of a queue wait, though perhaps not all of them; nil: nothing is known that holds them.
func (c *Client) QueueWaits(ctx context.Context, queue string) (*Wait, error) {
	queue = cmp.Or(queue, tasks.QueueDefault)
	err := c.served.check(queue)
	if away, ok := errors.AsType[*UnavailableError](err); ok && away.Err == nil {
		return &Wait{Reason: away.Reason}, nil
	}
	if err != nil {
		return nil, err
	}
	held, err := c.holds.OfQueue(ctx, queue)
	return WaitOf(held), Unavailable(err)
}
