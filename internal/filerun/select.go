package filerun

import (
	"context"
	"errors"
	"iter"

	"github.com/cozeq/cozeq/internal/input"
)

// due yields the rows that are to be asked, in the order of the input. It leaves out those that have a record, that are
// not of the sample, that the budget does not allow, and that the cache answers. It blocks where one row depends on the
// answer to another that it has yielded before; before that it calls idle, so that what was yielded is on its way.
func (r *run) due(ctx context.Context, idle func() error) iter.Seq2[*input.Row, error] {
	return func(yield func(*input.Row, error) bool) {
		d := &dueRows{run: r, idle: idle, take: func(row *input.Row) error {
			if !yield(row, nil) {
				return errNoTaker
			}
			return nil
		}}
		if err := d.all(ctx); err != nil && err != errNoTaker {
			yield(nil, err)
		}
	}
}

// errNoTaker ends the walk over the rows when nobody wants more of them.
var errNoTaker = errors.New("nobody takes any more")

// dueRows is one walk over the rows.
type dueRows struct {
	*run
	idle func() error
	take func(*input.Row) error
}

func (d *dueRows) all(ctx context.Context) error {
	if d.Input.Live() {
		return d.liveRows(ctx)
	}
	for row, err := range d.Input.Rows() {
		if err != nil {
			return err
		}
		more, err := d.consider(ctx, row)
		if !more || err != nil {
			return err
		}
	}
	return d.serveTwins(ctx, 0)
}

// consider hands a row on if it is due. more is false if the rows behind it need not be looked at.
func (d *dueRows) consider(ctx context.Context, row *input.Row) (more bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if d.journal.Ended(row.N) || d.Sample > 0 && !d.sample[row.N] {
		return true, nil
	}
	if d.Cache != nil {
		if err := d.serveTwins(ctx, cap(d.window)); err != nil {
			return false, err
		}
		if answered, err := d.fromCache(row); answered || err != nil {
			return true, err
		}
	}
	afforded, err := d.afford(ctx, row)
	if err != nil {
		return false, err
	}
	if !afforded {
		// Behind this row the cache may have answers, and there may be chats in flight.
		return d.Cache != nil || len(d.budget.flying) > 0, nil
	}
	d.first(row)
	return true, d.take(row)
}

// await waits until a row has ended.
func (d *dueRows) await(ctx context.Context) error {
	if err := d.idle(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.moved:
		return nil
	}
}

// move tells await that a row has ended.
func (r *run) move() {
	select {
	case r.moved <- struct{}{}:
	default:
	}
}
