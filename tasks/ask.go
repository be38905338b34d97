package tasks

import (
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/results"
)

// UnfinishedError is returned by a call that stopped waiting before its task ended, usually
// because its context did. The task stays in the queue and will be asked: wait for ID again,
// or cancel it. Unwrap returns the reason, such as context.DeadlineExceeded.
type UnfinishedError struct {
	ID  string
	Err error
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("task %s has not ended yet: %v", e.ID, e.Err)
}

func (e *UnfinishedError) Unwrap() error { return e.Err }

// Ask puts a chat into the queue and waits until the task has ended.
//
// A task that fails, expires or is canceled is an error: errors.As finds its
// *[results.Failure], and errors.Is its class, such as [results.ErrQuota]. The result comes
// with it, as it may hold a part of the answer and what the chat cost.
//
// If the context ends first the error is an *[UnfinishedError], and the task stays in the
// queue. With an id in the options Ask may be repeated, also by another process: it waits for
// the task that is there. So an id belongs to one question. Without an id each call asks
// again.
func (c *Client) Ask(ctx context.Context, chat *Chat, o Options) (*results.Result, error) {
	id, err := c.Enqueue(ctx, chat, o)
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return nil, err
	}
	return c.Wait(ctx, id)
}

// Wait waits until the task with this id has ended. Its errors are those of [Client.Ask], and
// [results.ErrNotFound] for an id without a record. All waits of a client share one connection
// to Redis. For many tasks see [results.Store.WaitAll].
func (c *Client) Wait(ctx context.Context, id string) (*results.Result, error) {
	r, err := c.Results().Wait(ctx, id)
	switch {
	case err == nil:
		return r, r.Err()
	case errors.Is(err, results.ErrNotFound):
		return nil, err
	}
	return nil, &UnfinishedError{id, err}
}
