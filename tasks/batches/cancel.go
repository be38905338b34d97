package batches

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/queue"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// cancelBatchScript notes that somebody wants the batch to end, if there is anything
// left to end. It answers 0 where there is no batch.
//
// KEYS: batch. ARGV: now.
var cancelBatchScript = redis.NewScript(`
local now = redis.call('HMGET', KEYS[1], 'rows', 'queued', 'waiting', 'running')
if not now[1] then return 0 end
if tonumber(now[2] or 0) + tonumber(now[3] or 0) + tonumber(now[4] or 0) > 0 then
	redis.call('HSETNX', KEYS[1], 'canceled_at', ARGV[1])
end
return 1`)

// Cancels go to Redis from so many goroutines, on a client that gathers their commands:
// one by one 10,000 rows would take ten times as long.
const (
	cancelChunk   = 1000
	cancelWorkers = 64
)

// tidyQueue is the longest queue from which canceled tasks are taken out: to find one in
// it costs Redis time for each task before it, 26 ms at 500,000. In a longer one they
// stay until a worker takes them up and lets them go.
const tidyQueue = 10_000

// Cancel ends a batch: rows that are queued or wait, and rows that were never added, are
// canceled when it returns, rows that run a moment later by their workers. Who is adding
// rows, or runs the batch, is told at the next step. progress, if it is not nil, hears
// how many of the rows that were open have been seen to. It may be repeated.
func (c *Client) Cancel(ctx context.Context, id string, progress func(done, total int)) error {
	n, err := cancelBatchScript.Run(ctx, c.rdb, []string{tally.Key(id)}, results.At(time.Now()).String()).Int()
	if err != nil {
		return fmt.Errorf("cancel batch %s: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	states, err := c.States(ctx, id)
	if err != nil {
		return err
	}
	// Rows that failed may hold their conversations up, for tasks that are not of this
	// batch too. To cancel a task that has failed lets its conversation go on.
	blocks, err := c.rdb.HExists(ctx, tally.Key(id), "blocks").Result()
	if err != nil {
		return fmt.Errorf("cancel batch %s: %w", id, err)
	}
	open := states.rows(func(s results.Status) bool { return !s.Terminal() || blocks && s == results.Failed })
	for done := 0; done < len(open); {
		rows := open[done:min(done+cancelChunk, len(open))]
		err := c.cancelTasks(ctx, id, len(rows), func(i int) string {
			return TaskID(id, rows[i], states.Ask(rows[i]))
		})
		if err != nil {
			return err
		}
		done += len(rows)
		if progress != nil {
			progress(done, len(open))
		}
	}
	return nil
}

// cancelRows cancels rows of which nobody may know yet that they are enqueued.
func (c *Client) cancelRows(ctx context.Context, id string, rows []Row) error {
	return c.cancelTasks(ctx, id, len(rows), func(i int) string { return rows[i].TaskID(id) })
}

// cancelTasks cancels n tasks of a batch.
func (c *Client) cancelTasks(ctx context.Context, id string, n int, task func(i int) string) error {
	of, err := c.rdb.HMGet(ctx, tally.Key(id), "queue", "kind").Result()
	if err != nil {
		return fmt.Errorf("cancel batch %s: %w", id, err)
	}
	name, _ := of[0].(string)
	isRun := of[1] == KindRun
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
	for range min(n, cancelWorkers) {
		cancelers.Go(func() {
			for task := range next {
				if err := cancelOrCreate(ctx, q, id, task, tidy, isRun); err != nil {
					stop(fmt.Errorf("cancel %s: %w", task, err))
				}
			}
		})
	}
	for i := range n {
		select {
		case <-ctx.Done():
		case next <- task(i):
			continue
		}
		break
	}
	close(next)
	cancelers.Wait()
	return context.Cause(ctx)
}

// short reports whether all queues of this name are short enough to take tasks out of.
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

// cancelOrCreate cancels a task of a batch. A row that was never added gets a record
// that has ended: who is about to add it finds that and does not enqueue it. So does a
// row that was added and whose record is gone. A run writes the records of rows that it
// has not enqueued itself.
func cancelOrCreate(ctx context.Context, q *queue.Queue, batch, id string, tidy, isRun bool) error {
	for {
		_, err := q.Cancel(ctx, id, tidy)
		if !errors.Is(err, results.ErrNotFound) {
			return err
		}
		r := results.Result{
			ID: id, BatchID: batch, Status: results.Canceled,
			Error:       &results.Failure{Class: "canceled", Message: "canceled before it was asked"},
			CompletedAt: results.At(time.Now()),
		}
		if isRun {
			return q.Tally.MarkResult(ctx, &r)
		}
		there, err := q.Results.Create(ctx, results.Entry{Result: r})
		if err != nil {
			return err
		}
		if there == "" {
			return q.Tally.MarkResult(ctx, &r)
		}
	}
}
