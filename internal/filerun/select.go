package filerun

import (
	"context"
	"errors"
	"iter"

	"github.com/cozeq/cozeq/internal/input"
)

// selected yields the rows to ask, in the order of the input. It leaves out rows that have a record, that are not in the
// sample, that the budget does not allow, and that the cache answers. Where one row depends on the answer to another that
// was yielded before, it calls idle, so that what was yielded is on its way, and waits.
func (r *run) selected(ctx context.Context, idle func() error) iter.Seq2[*openRow, error] {
	return func(yield func(*openRow, error) bool) {
		s := &selector{run: r, idle: idle, hand: func(o *openRow) error {
			if !yield(o, nil) {
				return errNoMore
			}
			return nil
		}}
		if err := s.all(ctx); err != nil && err != errNoMore {
			yield(nil, err)
		}
	}
}

// errNoMore ends the walk over the rows when no more of them are wanted.
var errNoMore = errors.New("no more rows are wanted")

// selector is one walk over the rows.
type selector struct {
	run  *run
	idle func() error
	hand func(*openRow) error
}

func (s *selector) all(ctx context.Context) error {
	r := s.run
	rows := r.job.Input.Rows()
	if r.job.Input.Live() {
		rows = r.job.Input.LiveRows(ctx, s.idle)
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if r.job.Input.Live() {
			r.journal.Grow(row.N)
			r.setTotal(row.N)
		}
		more, err := s.consider(ctx, row)
		if !more || err != nil {
			return err
		}
	}
	return s.askReleased(ctx, 0)
}

// consider hands a row on if it is to be asked. more is false if the rows behind it need not be looked at.
func (s *selector) consider(ctx context.Context, row *input.Row) (more bool, err error) {
	r := s.run
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if row.Wrong == "" && (r.journal.Ended(row.N) || r.job.Sample > 0 && !r.sample.rows[row.N]) {
		return true, nil
	}
	o := &openRow{row: row, id: r.journal.TaskID(row.N)}
	if row.Wrong != "" {
		return true, s.hand(o)
	}
	if r.same != nil {
		if err := s.askReleased(ctx, cap(r.window.places)); err != nil {
			return false, err
		}
		if answered, err := s.fromCache(o); answered || err != nil {
			return true, err
		}
	}
	afforded, err := s.afford(ctx, row)
	if err != nil {
		return false, err
	}
	if !afforded {
		// The cache may have answers to later rows, and some may have chats in flight.
		return r.same != nil || len(r.budget.begun) > 0, nil
	}
	r.same.begin(o)
	return true, s.hand(o)
}

// fromCache answers a row from the cache, or makes it wait for the same question. Otherwise the row has to be asked.
func (s *selector) fromCache(o *openRow) (answered bool, err error) {
	r := s.run
	if o.cacheKey = r.cacheKey(o.row); o.cacheKey == "" {
		return false, nil
	}
	if r.same.join(o) {
		return true, nil
	}
	// The answer to a question that ends at this moment is in the cache before the coalescer forgets the question.
	res := r.job.Cache.Get(o.cacheKey)
	if res == nil {
		return false, nil
	}
	r.recording.Lock()
	defer r.recording.Unlock()
	return true, r.recordCached(o.row, res)
}

// askReleased hands on the rows that waited for a question without an answer, until at most so many rows wait for one.
func (s *selector) askReleased(ctx context.Context, most int) error {
	r := s.run
	if r.same == nil {
		return nil
	}
	for {
		next, waiting := r.same.next()
		if next == nil {
			if waiting <= most {
				return nil
			}
			if err := s.await(ctx); err != nil {
				return err
			}
			continue
		}
		afforded, err := s.afford(ctx, next.row)
		if err != nil {
			return err
		}
		if !afforded {
			r.same.giveUp(next)
			continue
		}
		if err := s.hand(next); err != nil {
			return err
		}
	}
}

// afford reports whether the budget allows a row, and counts it. It waits if that depends on the chats in flight.
func (s *selector) afford(ctx context.Context, row *input.Row) (bool, error) {
	r := s.run
	if r.shared.isCanceled() {
		return true, nil // it ends without being asked
	}
	begun := r.budget.begun[row.N]
	delete(r.budget.begun, row.N)
	for {
		r.mu.Lock()
		v := r.budget.take(begun, &r.tally)
		r.mu.Unlock()
		if v != undecided {
			return v == allowed, nil
		}
		if err := s.await(ctx); err != nil {
			return false, err
		}
	}
}

// await waits until a row has ended.
func (s *selector) await(ctx context.Context) error {
	if err := s.idle(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.run.ended:
		return nil
	}
}
