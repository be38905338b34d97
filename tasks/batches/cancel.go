package batches

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/queue"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Rows are canceled by cancelWorkers goroutines over a client that gathers their commands. One by one, 10,000 rows would
// take ten times as long.
const (
	cancelChunk   = 1000
	cancelWorkers = 64
)

// tidyQueue is the longest queue from which canceled tasks are removed. Redis walks the list to find one, 26 ms at 500,000
// tasks. In a longer queue they stay until a worker takes them up and drops them.
const tidyQueue = 10_000

// Cancel ends a batch. When it returns, rows that were queued or waiting and rows that were never added are canceled. Rows
// that run are canceled a moment later by their workers. A process that adds rows, or runs the batch, learns of it with
// its next call. progress, if not nil, is called with the number of open rows that are done. Cancel may be repeated.
func (c *Client) Cancel(ctx context.Context, id string, progress func(done, total int)) error {
	if err := reply(cancelScript.Run(ctx, c.rdb, []string{rediskey.Batch(id)}, results.At(time.Now()).String()), id, "cancel it"); err != nil {
		return err
	}
	states, err := c.States(ctx, id)
	if err != nil {
		return err
	}
	// A failed row may keep a conversation waiting, tasks of others included. Canceling it releases the conversation.
	blocks, err := c.rdb.HExists(ctx, rediskey.Batch(id), "blocks").Result()
	if err != nil {
		return fmt.Errorf("cancel batch %s: %w", id, err)
	}
	open := states.Rows(func(s results.Status) bool { return !s.Terminal() || blocks && s == results.Failed })
	done := 0
	for rows := range slices.Chunk(open, cancelChunk) {
		if err := c.cancelTasks(ctx, id, states.TaskIDs(id, rows)); err != nil {
			return err
		}
		done += len(rows)
		if progress != nil {
			progress(done, len(open))
		}
	}
	return nil
}

func (c *Client) cancelTasks(ctx context.Context, id string, ids []string) error {
	of, err := c.rdb.HMGet(ctx, rediskey.Batch(id), "queue", "kind", "tenant").Result()
	if err != nil {
		return fmt.Errorf("cancel batch %s: %w", id, err)
	}
	name, _ := of[0].(string)
	isRun := of[1] == KindRun
	tenant, _ := of[2].(string)
	tidy, err := c.short(ctx, name)
	if err != nil {
		return fmt.Errorf("cancel batch %s: %w", id, err)
	}
	gathering, err := c.rdb.AsyncAutoPipeline()
	if err != nil {
		return fmt.Errorf("cancel batch %s: %w", id, err)
	}
	store := results.NewStore(gathering)
	store.Keys = c.results.Keys
	q := queue.New(store)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan string)
	var cancelers sync.WaitGroup
	for range min(len(ids), cancelWorkers) {
		cancelers.Go(func() {
			for task := range next {
				if err := cancelOrCreate(ctx, q, results.Result{ID: task, BatchID: id, Tenant: tenant}, tidy, isRun); err != nil {
					stop(fmt.Errorf("cancel %s: %w", task, err))
				}
			}
		})
	}
	for _, task := range ids {
		select {
		case <-ctx.Done(): // the first failure ends the others
		case next <- task:
		}
	}
	close(next)
	cancelers.Wait()
	return context.Cause(ctx)
}

// short reports whether all queues of this name are short enough to remove tasks from them.
func (c *Client) short(ctx context.Context, name string) (bool, error) {
	queues, err := tasks.Shards(name)
	if err != nil {
		return false, err
	}
	short := true
	for _, name := range queues {
		n, err := c.rdb.LLen(ctx, asynqx.Key(name, "pending")).Result()
		if err != nil {
			return false, err
		}
		short = short && n <= tidyQueue
	}
	return short, nil
}

// cancelOrCreate cancels a task of a batch. A row without a record, because it was never added or its record is gone, gets
// one that has ended: a process that is about to add the row finds it and does not enqueue. A run writes the records of
// the rows that it has not enqueued itself.
func cancelOrCreate(ctx context.Context, q *queue.Queue, r results.Result, tidy, isRun bool) error {
	for {
		_, err := q.Cancel(ctx, r.ID, tidy)
		if !errors.Is(err, results.ErrNotFound) {
			return err
		}
		r.Status = results.Canceled
		r.Error = &results.Failure{Class: "canceled", Message: "canceled before it was asked"}
		r.CompletedAt = results.At(time.Now())
		if isRun {
			return q.Tally.MarkResult(ctx, &r)
		}
		there, err := q.Records.Create(ctx, record.Entry{Result: r})
		if err != nil {
			return err
		}
		if there == "" {
			return q.Tally.MarkResult(ctx, &r)
		}
	}
}
