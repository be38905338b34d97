package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
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
func (bs *Batches) Retryable(ctx context.Context, id string, o RetryOptions) (n int, err error) {
	err = bs.wanted(ctx, id, o, func(_ *Batch, _ *BatchStates, rows []int, _ []*results.Result) error {
		n += len(rows)
		return nil
	})
	return n, err
}

// Retry asks rows again. Each gets a new task, BATCH-N.2 after BATCH-N, and a batch
// that had ended, or was canceled, goes on. It returns how many rows it has opened. A
// run's batch is ErrBatchIsRun; rows that are not in Redis cannot be asked again and are
// told at the end, as a *MissingRowsError.
//
// A row is opened first (1) and then enqueued (2). Who dies between leaves an open row
// without a task. The next call, and Mend, begin with those: the row is enqueued under
// the name that it has now, not asked a third time.
func (bs *Batches) Retry(ctx context.Context, id string, o RetryOptions) (n int, err error) {
	if err := bs.expire(ctx, id, o.ExpiresAt); err != nil {
		return 0, err
	}
	if _, err := bs.mend(ctx, id, again); err != nil && !isMissing(err) {
		return 0, err
	}
	var missing error
	err = bs.wanted(ctx, id, o, func(b *Batch, states *BatchStates, rows []int, records []*results.Result) error {
		opened, err := bs.retry(ctx, b, states, rows, records)
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
func (bs *Batches) expire(ctx context.Context, id string, at time.Time) error {
	b, err := bs.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case b.Kind == BatchRun:
		return fmt.Errorf("%s: %w", id, ErrBatchIsRun)
	case at.IsZero():
		err = bs.rdb.HDel(ctx, batchKey(id), "expires_at").Err()
	default:
		err = bs.rdb.HSet(ctx, batchKey(id), "expires_at", results.At(at).String()).Err()
	}
	if err != nil {
		return fmt.Errorf("set when batch %s expires: %w", id, err)
	}
	return nil
}

// wanted calls f for the rows of each chunk that are to be asked again, with their
// records.
func (bs *Batches) wanted(ctx context.Context, id string, o RetryOptions,
	f func(*Batch, *BatchStates, []int, []*results.Result) error) error {
	b, err := bs.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case b.Kind == BatchRun:
		return fmt.Errorf("%s: %w", id, ErrBatchIsRun)
	}
	states, err := bs.States(ctx, id)
	if err != nil {
		return err
	}
	for first := 1; first <= states.Len(); first += BatchChunk {
		last := min(first+BatchChunk-1, states.Len())
		rows, records, err := bs.choose(ctx, id, o, states, first, last)
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
func (bs *Batches) choose(ctx context.Context, id string, o RetryOptions, states *BatchStates, first, last int) (rows []int, records []*results.Result, err error) {
	var candidates []int
	var ids []string
	for row := first; row <= last; row++ {
		s := states.Status(row)
		if s.Terminal() && (s != results.Completed || o.Lost) {
			candidates, ids = append(candidates, row), append(ids, BatchTaskID(id, row, states.Ask(row)))
		}
	}
	found, err := bs.results.GetMany(ctx, ids)
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
func (bs *Batches) retry(ctx context.Context, b *Batch, states *BatchStates, rows []int, records []*results.Result) (n int, err error) {
	chunk, err := bs.chunk(ctx, b.ID, states, chunkOf(rows[0]))
	if err != nil {
		return 0, err
	}
	record := make(map[int]*results.Result, len(rows))
	again := make([]BatchRow, len(rows))
	for i, row := range rows {
		if states.Ask(row) == maxAsks {
			return 0, fmt.Errorf("row %d was asked %d times, and no row is asked more often: submit it as a batch of its own", row, maxAsks)
		}
		again[i], record[row] = chunk[(row-1)%BatchChunk], records[i]
	}
	again, gone, err := bs.complete(ctx, b.ID, again)
	if err != nil {
		return 0, err
	}
	args := header()
	for i := range again {
		row := &again[i]
		failure := ""
		if m, ok := MarkOf(record[row.N]); ok && m.Class != "" {
			failure = BatchFailure{Class: m.Class, Code: m.Code}.label()
		}
		args = append(args, row.N, row.Ask, row.Ask+1, failure)
		row.Ask++
	}
	if len(again) == 0 {
		return 0, gone
	}
	moved, err := reopenScript.Run(ctx, bs.rdb, batchKeys(b.ID), args...).Int64Slice()
	if err != nil {
		return 0, fmt.Errorf("open rows of batch %s: %w", b.ID, err)
	}
	for _, m := range moved {
		n += int(m)
	}
	// Also those that were open already: somebody else may have opened them just now,
	// and to enqueue a row twice does nothing.
	if err := bs.askAgain(ctx, b, again, nil); err != nil {
		return n, err
	}
	return n, gone
}

// complete is Complete, and takes the rows out that it cannot complete; of those, gone
// tells as a *MissingRowsError.
func (bs *Batches) complete(ctx context.Context, id string, rows []BatchRow) (whole []BatchRow, gone, err error) {
	if err := bs.Complete(ctx, id, rows); err != nil {
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
func (bs *Batches) askAgain(ctx context.Context, b *Batch, rows []BatchRow, begun func(row int) bool) error {
	items := make([]Item, len(rows))
	places := make([]*redis.FloatCmd, len(rows))
	marks := make([]*redis.SliceCmd, len(rows))
	_, err := bs.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range rows {
			items[i] = bs.item(b, &rows[i])
			items[i].Options.PossibleDuplicate = begun != nil && begun(rows[i].N)
			if rows[i].Ask < 2 {
				continue
			}
			earlier := BatchTaskID(b.ID, rows[i].N, rows[i].Ask-1)
			marks[i] = p.HMGet(ctx, results.Key(earlier), "status", "possible_duplicate")
			if blocks(rows[i]) {
				before := Place{Lane: rows[i].Chat.Lane(), ID: earlier}
				var err error
				if before.Queue, err = Shard(b.Queue, before.Lane); err != nil {
					return err
				}
				places[i] = p.ZScore(ctx, laneKey(before.Lane), before.member())
				items[i].Options.instead = before
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
	for i, at := range places {
		if at != nil && at.Err() != nil {
			items[i].Options.instead = Place{} // it is in the lane no more
		} else if at != nil {
			items[i].Options.laneSeq = int64(at.Val())
		}
	}
	for i, e := range bs.client.EnqueueAll(ctx, items) {
		if e.Err != nil && !errors.Is(e.Err, ErrDuplicate) {
			return fmt.Errorf("row %d: %w", rows[i].N, e.Err)
		}
		if before := items[i].Options.instead; before != (Place{}) {
			// What asynq's archive has of it is of no use any more, but to be run by mistake.
			_ = bs.client.inspector.DeleteTask(before.Queue, before.ID)
		}
	}
	return nil
}
