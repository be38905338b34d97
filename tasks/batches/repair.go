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
	Marked   int // rows that had ended, and the batch did not know
	Enqueued int // rows that were open, and in no queue
}

// Repair compares a batch with the records of its tasks, and with the queue, and puts
// right what differs: rows whose end it was not told of, and open rows whose task is
// gone, because Redis has lost it or somebody has deleted it. Neither happens by a death
// of a worker alone; it is for a batch in which nothing moves. Rows that are not added
// yet are left alone. It may be repeated, and run beside anything else.
//
// Where a task and its record are gone, nobody knows whether it was asked: it is, again, and
// the new record says possible_duplicate, unless the row was never taken up.
// It costs Redis about as much as enqueueing the rows that are open. Rows that cannot be
// asked, as they are not in Redis any more, are told at the end, as a *MissingRowsError.
func (c *Client) Repair(ctx context.Context, id string) (Repaired, error) {
	return c.repair(ctx, id, nil)
}

// again is true for a row that was asked before.
func again(states *States, row int) bool { return states.Ask(row) > 1 }

// repair is Repair for open rows of which want is true; nil = all.
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
		var ids []string
		for row := first; row < first+ChunkRows && row <= b.Enqueued; row++ {
			if !states.Status(row).Terminal() && (want == nil || want(states, row)) {
				rows, ids = append(rows, row), append(ids, TaskID(id, row, states.Ask(row)))
			}
		}
		if len(rows) == 0 {
			continue
		}
		lost, err := c.compare(ctx, b, rows, ids, &done)
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

// compare marks those rows that have ended and returns those that are in no queue.
func (c *Client) compare(ctx context.Context, b *Status, rows []int, ids []string, done *Repaired) (lost []int, err error) {
	records, err := c.results.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	queued := make([]*redis.IntCmd, len(ids))
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			// Of several queues only the record knows which; where it is gone, the task
			// looks lost, and who enqueues it finds it there.
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

// restore enqueues open rows of one chunk that are in no queue; of a batch that was
// canceled it cancels them.
func (c *Client) restore(ctx context.Context, b *Status, states *States, lost []int, done *Repaired) error {
	if !b.CanceledAt.IsZero() {
		return c.cancelTasks(ctx, b.ID, len(lost), func(i int) string {
			return TaskID(b.ID, lost[i], states.Ask(lost[i]))
		})
	}
	chunk, err := c.chunk(ctx, b.ID, states, chunkOf(lost[0]))
	if err != nil {
		return err
	}
	rows := make([]Row, len(lost))
	for i, row := range lost {
		rows[i] = chunk[(row-1)%ChunkRows]
	}
	rows, gone, err := c.complete(ctx, b.ID, rows)
	if err != nil {
		return err
	}
	if err := c.askAgain(ctx, b, rows, func(row int) bool { return states.Status(row) != results.Queued }); err != nil {
		return err
	}
	done.Enqueued += len(rows)
	return gone
}
