package tasks

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cozeq/cozeq/internal/record"
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

// Piece is a step of an answer on its way: see [Client.Stream].
type Piece struct {
	Text string // the next part of the answer

	// Restart is true if the answer begins again, as another worker has taken the task over:
	// forget the pieces before this one.
	Restart bool

	// Result is set in the last piece: the task has ended.
	Result *results.Result
}

// Stream yields the answer of a task while it is written. The task must have been enqueued
// with [Chat.Stream]; of any other there is only the last piece, with the result. The pieces
// of a task are kept as long as its result, so a stream can begin late or once more. Of a very
// long answer the first pieces may be gone; the answer in the result is complete.
//
// Errors are those of [Client.Wait]. With the error of a task that has failed comes the last
// piece. A stream holds a connection of the pool while it waits.
func (c *Client) Stream(ctx context.Context, id string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for d, err := range record.New(c.Results()).Deltas(ctx, id) {
			switch {
			case err != nil && ctx.Err() != nil:
				yield(Piece{}, &UnfinishedError{id, context.Cause(ctx)})
				return
			case err != nil:
				yield(Piece{}, err)
				return
			case d.Type == record.DeltaEnd:
				r, err := c.Results().Get(ctx, id)
				if err == nil {
					err = r.Err()
				}
				yield(Piece{Result: r}, err)
				return
			}
			if !yield(Piece{Text: d.Text, Restart: d.Type == record.DeltaReset}, nil) {
				return
			}
		}
	}
}
