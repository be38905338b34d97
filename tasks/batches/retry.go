package batches

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// RetryOptions say which rows of a batch are asked again.
type RetryOptions struct {
	// Want chooses among the rows that failed, were canceled or expired; nil: all of them. It gets their records. Of a
	// record that is gone it gets ID, BatchID and Status.
	Want func(row int, r *results.Result) bool

	// Lost also offers Want the rows that had an answer whose record is gone. It reads all records.
	Lost bool

	// ExpiresAt is until when the rows may be asked. It replaces what the batch and the rows say; zero = no limit.
	ExpiresAt time.Time

	// Progress, if not nil, is called with the number of rows that are done.
	Progress func(done, total int)
}

// Retryable is the number of rows that Retry would ask again now.
func (c *Client) Retryable(ctx context.Context, id string, o RetryOptions) (n int, err error) {
	err = c.eachWanted(ctx, id, o, func(_ *Status, _ *States, rows []int, _ []*results.Result) error {
		n += len(rows)
		return nil
	})
	return n, err
}

// Retry asks rows again and returns how many it has opened. Each gets a new task, BATCH-N.2 after BATCH-N. A batch that
// had ended or was canceled is open again. Retry returns ErrIsRun for the batch of a run. Rows that are not in Redis
// cannot be asked: they are reported at the end, as a *MissingRowsError.
//
// A row is opened first (1) and then enqueued (2). A process that dies in between leaves an open row without a task. The
// next Retry, and Repair, begin with such rows and enqueue them under the id that they have, not for a third attempt.
func (c *Client) Retry(ctx context.Context, id string, o RetryOptions) (n int, err error) {
	if err := c.setExpiry(ctx, id, o.ExpiresAt); err != nil {
		return 0, err
	}
	if _, err := c.repair(ctx, id, retried); err != nil && !isMissing(err) {
		return 0, err
	}
	var missing error
	err = c.eachWanted(ctx, id, o, func(b *Status, states *States, rows []int, records []*results.Result) error {
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

// detached returns a batch whose rows are in Redis. For that of a run it returns ErrIsRun.
func (c *Client) detached(ctx context.Context, id string) (*Status, error) {
	b, err := c.Get(ctx, id)
	if err == nil && b.Kind == KindRun {
		err = fmt.Errorf("%s: %w", id, ErrIsRun)
	}
	return b, err
}

// setExpiry sets until when rows of the batch may be asked.
func (c *Client) setExpiry(ctx context.Context, id string, at time.Time) error {
	_, err := c.detached(ctx, id)
	switch {
	case err != nil:
		return err
	case at.IsZero():
		err = c.rdb.HDel(ctx, rediskey.Batch(id), "expires_at").Err()
	default:
		err = c.rdb.HSet(ctx, rediskey.Batch(id), "expires_at", results.At(at).String()).Err()
	}
	if err != nil {
		return fmt.Errorf("set when batch %s expires: %w", id, err)
	}
	return nil
}

// eachWanted calls f for the rows of each chunk that are to be asked again, with their records.
func (c *Client) eachWanted(ctx context.Context, id string, o RetryOptions,
	f func(*Status, *States, []int, []*results.Result) error) error {
	b, err := c.detached(ctx, id)
	if err != nil {
		return err
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

func (c *Client) choose(ctx context.Context, id string, o RetryOptions, states *States, first, last int,
) (rows []int, records []*results.Result, err error) {
	var candidates []int
	for row := first; row <= last; row++ {
		if s := states.Status(row); s.Terminal() && (s != results.Completed || o.Lost) {
			candidates = append(candidates, row)
		}
	}
	ids := states.TaskIDs(id, candidates)
	found, err := c.results.GetMany(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for i, row := range candidates {
		r, status := found[i], states.Status(row)
		if r == nil {
			r = &results.Result{ID: ids[i], BatchID: id, Status: status}
		} else if status == results.Completed {
			continue
		}
		if o.Want == nil || o.Want(row, r) {
			rows, records = append(rows, row), append(records, r)
		}
	}
	return rows, records, nil
}

func (c *Client) retry(ctx context.Context, b *Status, states *States, rows []int, records []*results.Result) (n int, err error) {
	chunk, err := c.chunk(ctx, b.ID, states, chunkOf(rows[0]))
	if err != nil {
		return 0, err
	}
	record := make(map[int]*results.Result, len(rows))
	again := make([]Row, len(rows))
	for i, row := range rows {
		if states.Attempt(row) == tally.MaxAttempts {
			return 0, fmt.Errorf("row %d was asked %d times, the most that a batch allows: submit it as a batch of its own", row, tally.MaxAttempts)
		}
		again[i], record[row] = chunk[(row-1)%ChunkRows], records[i]
	}
	again, gone, err := c.withMessages(ctx, b.ID, again)
	if err != nil {
		return 0, err
	}
	if len(again) == 0 {
		return 0, gone
	}
	open := make([]tally.Reopening, len(again))
	for i := range again {
		row := &again[i]
		open[i] = tally.Reopening{Row: row.N, Attempt: row.Attempt, Next: row.Attempt + 1}
		if m, ok := tally.Of(record[row.N]); ok && m.Class != "" {
			open[i].Failure = m.Failure()
		}
		row.Attempt++
	}
	if n, err = c.tally.Reopen(ctx, b.ID, open...); err != nil {
		return 0, err
	}
	// Rows that were open already are enqueued, too: another process may have opened them just now. Enqueueing a row twice
	// changes nothing.
	if err := c.enqueueAgain(ctx, b, again, nil); err != nil {
		return n, err
	}
	return n, gone
}

// withMessages is Complete. It leaves the rows out that it cannot complete; gone reports them as a *MissingRowsError.
func (c *Client) withMessages(ctx context.Context, id string, rows []Row) (whole []Row, gone, err error) {
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

// enqueueAgain enqueues rows whose attempt may be a later one. A failed turn that keeps its conversation waiting gives its
// place to the next attempt. Behind the turns that wait for it the new one would never come.
//
// A row is marked as a possible duplicate if the record of its earlier attempt says so or is gone, or if taken reports that
// the row was taken up before; nil: no row was.
func (c *Client) enqueueAgain(ctx context.Context, b *Status, rows []Row, taken func(row int) bool) error {
	items := make([]tasks.Item, len(rows))
	records := make([]*redis.SliceCmd, len(rows))
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range rows {
			items[i] = c.item(b, &rows[i])
			o := &items[i].Options
			o.PossibleDuplicate = taken != nil && taken(rows[i].N)
			if rows[i].Attempt < 2 {
				continue
			}
			earlier := TaskID(b.ID, rows[i].N, rows[i].Attempt-1)
			records[i] = p.HMGet(ctx, results.Key(earlier), "status", "possible_duplicate")
			if blocks(rows[i]) {
				o.InsteadOf = earlier
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the records of earlier attempts: %w", err)
	}
	for i, record := range records {
		if record != nil && (record.Val()[0] == nil || record.Val()[1] == "true") {
			items[i].Options.PossibleDuplicate = true
		}
	}
	return c.enqueue(ctx, rows, items)
}
