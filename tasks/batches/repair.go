package batches

import (
	"cmp"
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
)

// Repaired is what Repair has done.
type Repaired struct {
	Marked   int // rows that had ended without the batch knowing
	Enqueued int // open rows that were in no queue
}

// Repair compares a batch with the records of its tasks and with the queue. It marks rows that have ended without the
// batch knowing, and enqueues open rows whose task is gone because Redis has lost it or someone has deleted it. A worker
// that dies causes neither, so Repair is for a batch in which nothing moves. It leaves rows alone that are not added yet.
// It may be repeated, and run beside anything else. It costs Redis about as much as enqueueing the open rows.
//
// If a task and its record are gone, it is not known whether the question was asked. It is asked again, and the new record
// says possible_duplicate, unless the row was never taken up. Rows that are not in Redis any more cannot be asked: they
// are reported at the end, as a *MissingRowsError.
func (c *Client) Repair(ctx context.Context, id string) (Repaired, error) {
	return c.repair(ctx, id, nil)
}

func retried(states *States, row int) bool { return states.Attempt(row) > 1 }

// repair is Repair for the open rows that are wanted; nil wants all.
func (c *Client) repair(ctx context.Context, id string, want func(*States, int) bool) (done Repaired, err error) {
	b, err := c.Get(ctx, id)
	if err != nil {
		return done, err
	}
	states, err := c.States(ctx, id)
	if err != nil {
		return done, err
	}
	var missing error
	for first := 1; first <= b.Enqueued; first += ChunkRows {
		var rows []int
		for row := first; row < first+ChunkRows && row <= b.Enqueued; row++ {
			if !states.Status(row).Terminal() && (want == nil || want(states, row)) {
				rows = append(rows, row)
			}
		}
		if len(rows) == 0 {
			continue
		}
		lost, err := c.compare(ctx, b, rows, states.TaskIDs(id, rows), &done)
		if err != nil {
			return done, err
		}
		if len(lost) == 0 || b.Kind == KindRun {
			continue
		}
		err = c.restore(ctx, b, states, lost, &done)
		if err != nil && !isMissing(err) {
			return done, err
		}
		missing = cmp.Or(missing, err)
	}
	return done, missing
}

// compare marks the rows that have ended and returns those that are in no queue.
func (c *Client) compare(ctx context.Context, b *Status, rows []int, ids []string, done *Repaired) (lost []int, err error) {
	records, err := c.results.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	queued := make([]*redis.IntCmd, len(ids))
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			// Of several queues only the record knows the right one. Without a record the task looks lost, and enqueueing
			// finds it.
			queue := b.Queue
			if records[i] != nil && records[i].Queue != "" {
				queue = records[i].Queue
			}
			queued[i] = p.Exists(ctx, asynqx.Key(queue, "t:"+id))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for tasks of batch %s: %w", b.ID, err)
	}
	var marks []tally.Mark
	for i, r := range records {
		switch {
		case r != nil && r.Status.Terminal():
			if m, ok := tally.Of(r); ok {
				marks = append(marks, m)
			}
		case queued[i].Val() == 0:
			lost = append(lost, rows[i])
		}
	}
	done.Marked += len(marks)
	return lost, c.tally.Mark(ctx, marks...)
}

// restore enqueues open rows of one chunk that are in no queue. If the batch is canceled it cancels them.
func (c *Client) restore(ctx context.Context, b *Status, states *States, lost []int, done *Repaired) error {
	if !b.CanceledAt.IsZero() {
		return c.cancelTasks(ctx, b.ID, states.TaskIDs(b.ID, lost))
	}
	chunk, err := c.chunk(ctx, b.ID, states, chunkOf(lost[0]))
	if err != nil {
		return err
	}
	rows := make([]Row, len(lost))
	for i, row := range lost {
		rows[i] = chunk[(row-1)%ChunkRows]
	}
	rows, gone, err := c.withMessages(ctx, b.ID, rows)
	if err != nil {
		return err
	}
	if err := c.enqueueAgain(ctx, b, rows, func(row int) bool { return states.Status(row) != results.Queued }); err != nil {
		return err
	}
	done.Enqueued += len(rows)
	return gone
}
