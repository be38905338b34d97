package batches

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// RetryOptions say which rows of a batch are asked again.
type RetryOptions struct {
	// Want chooses among the rows that failed, were canceled or expired. It gets their
	// records; of one that is gone only ID, BatchID and Status.
	Want func(row int, r *results.Result) bool

	// Lost offers Want the rows, too, that had an answer whose record is gone. It takes
	// a look at all records.
	Lost bool

	// ExpiresAt is until when the rows may be asked, in the place of what the batch and
	// the rows said; zero = no limit.
	ExpiresAt time.Time

	// Progress, if it is not nil, hears how many rows have been looked at.
	Progress func(done, total int)
}

// Retryable is how many rows Retry would ask again, if it were called now.
func (c *Client) Retryable(ctx context.Context, id string, o RetryOptions) (n int, err error) {
	err = c.wanted(ctx, id, o, func(_ *Status, _ *States, rows []int, _ []*results.Result) error {
		n += len(rows)
		return nil
	})
	return n, err
}

// Retry asks rows again. Each gets a new task, BATCH-N.2 after BATCH-N, and a batch
// that had ended, or was canceled, goes on. It returns how many rows it has opened. A
// run's batch is ErrIsRun; rows that are not in Redis cannot be asked again and are
// told at the end, as a *MissingRowsError.
//
// A row is opened first (1) and then enqueued (2). Who dies between leaves an open row
// without a task. The next call, and Repair, begin with those: the row is enqueued under
// the name that it has now, not asked a third time.
func (c *Client) Retry(ctx context.Context, id string, o RetryOptions) (n int, err error) {
	if err := c.expire(ctx, id, o.ExpiresAt); err != nil {
		return 0, err
	}
	if _, err := c.repair(ctx, id, again); err != nil && !isMissing(err) {
		return 0, err
	}
	var missing error
	err = c.wanted(ctx, id, o, func(b *Status, states *States, rows []int, records []*results.Result) error {
		opened, err := c.retry(ctx, b, states, rows, records)
		n += opened
		if isMissing(err) {
			missing = cmp.Or(missing, err)
			err = nil
		}
		return err
	})
	return n, cmp.Or(err, missing)
}

func isMissing(err error) bool {
	_, missing := errors.AsType[*MissingRowsError](err)
	return missing
}

// expire sets until when rows of the batch may be asked.
func (c *Client) expire(ctx context.Context, id string, at time.Time) error {
	b, err := c.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case b.Kind == KindRun:
		return fmt.Errorf("%s: %w", id, ErrIsRun)
	case at.IsZero():
		err = c.rdb.HDel(ctx, tally.Key(id), "expires_at").Err()
	default:
		err = c.rdb.HSet(ctx, tally.Key(id), "expires_at", results.At(at).String()).Err()
	}
	if err != nil {
		return fmt.Errorf("set when batch %s expires: %w", id, err)
	}
	return nil
}

// wanted calls f for the rows of each chunk that are to be asked again, with their
// records.
func (c *Client) wanted(ctx context.Context, id string, o RetryOptions,
	f func(*Status, *States, []int, []*results.Result) error) error {
	b, err := c.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case b.Kind == KindRun:
		return fmt.Errorf("%s: %w", id, ErrIsRun)
	}
	states, err := c.States(ctx, id)
	if err != nil {
		return err
	}
	for first := 1; first <= states.Len(); first += ChunkRows {
		last := min(first+ChunkRows-1, states.Len())
		rows, records, err := c.choose(ctx, id, o, states, first, last)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			if err := f(b, states, rows, records); err != nil {
				return err
			}
		}
		if o.Progress != nil {
			o.Progress(last, states.Len())
		}
	}
	return nil
}

// choose returns those of rows first to last that are to be asked again.
func (c *Client) choose(ctx context.Context, id string, o RetryOptions, states *States, first, last int) (rows []int, records []*results.Result, err error) {
	var candidates []int
	var ids []string
	for row := first; row <= last; row++ {
		s := states.Status(row)
		if s.Terminal() && (s != results.Completed || o.Lost) {
			candidates, ids = append(candidates, row), append(ids, TaskID(id, row, states.Ask(row)))
		}
	}
	found, err := c.results.GetMany(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for i, row := range candidates {
		r := found[i]
		switch {
		case r == nil:
			r = &results.Result{ID: ids[i], BatchID: id, Status: states.Status(row)}
		case states.Status(row) == results.Completed:
			continue
		}
		if o.Want(row, r) {
			rows, records = append(rows, row), append(records, r)
		}
	}
	return rows, records, nil
}

// retry opens rows of one chunk and enqueues them.
func (c *Client) retry(ctx context.Context, b *Status, states *States, rows []int, records []*results.Result) (n int, err error) {
	chunk, err := c.chunk(ctx, b.ID, states, chunkOf(rows[0]))
	if err != nil {
		return 0, err
	}
	record := make(map[int]*results.Result, len(rows))
	again := make([]Row, len(rows))
	for i, row := range rows {
		if states.Ask(row) == tally.MaxAsks {
			return 0, fmt.Errorf("row %d was asked %d times, and no row is asked more often: submit it as a batch of its own", row, tally.MaxAsks)
		}
		again[i], record[row] = chunk[(row-1)%ChunkRows], records[i]
	}
	again, gone, err := c.complete(ctx, b.ID, again)
	if err != nil {
		return 0, err
	}
	open := make([]tally.Reopening, len(again))
	for i := range again {
		row := &again[i]
		failure := ""
		if m, ok := tally.Of(record[row.N]); ok && m.Class != "" {
			failure = m.Failure()
		}
		open[i] = tally.Reopening{Row: row.N, Ask: row.Ask, Next: row.Ask + 1, Failure: failure}
		row.Ask++
	}
	if len(again) == 0 {
		return 0, gone
	}
	if n, err = c.tally.ReopenRows(ctx, b.ID, open); err != nil {
		return 0, err
	}
	// Also those that were open already: somebody else may have opened them just now,
	// and to enqueue a row twice does nothing.
	if err := c.askAgain(ctx, b, again, nil); err != nil {
		return n, err
	}
	return n, gone
}

// complete is Complete, and takes the rows out that it cannot complete; of those, gone
// tells as a *MissingRowsError.
func (c *Client) complete(ctx context.Context, id string, rows []Row) (whole []Row, gone, err error) {
	if err := c.Complete(ctx, id, rows); err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		if row.Chat.HasBody() {
			gone = cmp.Or[error](gone, &MissingRowsError{From: row.N, To: row.N})
			continue
		}
		whole = append(whole, row)
	}
	return whole, gone, nil
}

// askAgain enqueues rows under new names. A turn that failed and holds its conversation
// up gives its place to the ask that follows it: behind the turns that wait for it the
// new one would never come.
//
// Where an earlier ask says that its chat may have an answer, or is gone and says
// nothing, the new one is marked as a possible duplicate. So is one for which begun, if it is
// not nil, says that its row was taken up before.
func (c *Client) askAgain(ctx context.Context, b *Status, rows []Row, begun func(row int) bool) error {
	items := make([]tasks.Item, len(rows))
	marks := make([]*redis.SliceCmd, len(rows))
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range rows {
			items[i] = c.item(b, &rows[i])
			items[i].Options.PossibleDuplicate = begun != nil && begun(rows[i].N)
			if rows[i].Ask < 2 {
				continue
			}
			earlier := TaskID(b.ID, rows[i].N, rows[i].Ask-1)
			marks[i] = p.HMGet(ctx, results.Key(earlier), "status", "possible_duplicate")
			if blocks(rows[i]) {
				items[i].Options.InsteadOf = earlier
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read what became of earlier asks: %w", err)
	}
	for i, mark := range marks {
		if mark != nil {
			fields := mark.Val()
			if fields[0] == nil || fields[1] == "true" {
				items[i].Options.PossibleDuplicate = true
			}
		}
	}
	for i, e := range c.tasks.EnqueueAll(ctx, items) {
		if e.Err != nil && !errors.Is(e.Err, tasks.ErrDuplicate) {
			return fmt.Errorf("row %d: %w", rows[i].N, e.Err)
		}
	}
	return nil
}
