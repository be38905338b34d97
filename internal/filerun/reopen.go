package filerun

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

func failed(r *results.Result) bool { return r.Status != results.Completed }

// reopen makes a journal of the complete OUTPUT, so that its failed rows can be asked again. OUTPUT stays as it is
// until the new one takes its place.
func (r *run) reopen(ctx context.Context, s input.Source) error {
	fresh, err := r.journal.Remake(ctx, func(fresh *journal.Journal) error { return r.refill(ctx, fresh, s) })
	if fresh != nil {
		r.journal = fresh
	}
	return err
}

// refill writes the records of the output into the journal.
func (r *run) refill(ctx context.Context, fresh *journal.Journal, s input.Source) error {
	row, begun := 0, false
	next, stop := iter.Pull2(r.Input.Rows())
	defer stop()
	for res, err := range r.outputRecords(ctx) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !begun {
			// The run goes by the name that it had, so that its ids go on from those in use.
			id, _, _, ok := batches.ParseTaskID(res.ID)
			if !ok {
				id = journal.NewRunID()
			}
			if err := fresh.Begin(id, s); err != nil {
				return err
			}
			begun = true
		}
		row++
		in, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			return &journal.ChangedError{File: r.Output, What: fmt.Sprintf("that had other than %d rows", r.total)}
		}
		if in.CustomID != res.CustomID {
			return &journal.ChangedError{File: r.Output, What: fmt.Sprintf("row %d is %q there, now %q", row, res.CustomID, in.CustomID)}
		}
		run, n, ask, ok := batches.ParseTaskID(res.ID)
		if !ok || run != fresh.RunID() || n != row {
			res.ID = batches.TaskID(fresh.RunID(), row, 1)
		} else if ask > 1 {
			fresh.SetAsk(row, ask)
		}
		line, err := output.EncodeRecord(res, in)
		if err != nil {
			return err
		}
		if err := fresh.Record(row, line, results.Usage{}); err != nil {
			return err
		}
	}
	if row != r.total {
		return &journal.ChangedError{File: r.Output, What: fmt.Sprintf("that had %d rows, now %d", row, r.total)}
	}
	return nil
}

// sameRows tells, by their number and their custom_ids, whether a complete OUTPUT is of
// this input: somebody who has added questions must not read that all are answered.
// What a question says is not in every OUTPUT, so a changed word goes unnoticed.
func (r *run) sameRows(ctx context.Context) error {
	next, stop := iter.Pull2(r.outputRecords(ctx))
	defer stop()
	rows := 0
	for row, err := range r.Input.Rows() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, invalid := errors.AsType[*input.Problem](err); err != nil && !invalid {
			return err
		}
		if rows++; rows > r.total || row == nil {
			continue
		}
		res, err, ok := next()
		if err != nil {
			return err
		}
		if ok && res.CustomID != row.CustomID {
			return &journal.ChangedError{File: r.Output, What: fmt.Sprintf("row %d is %q there, now %q", rows, res.CustomID, row.CustomID)}
		}
	}
	if rows != r.total {
		return &journal.ChangedError{File: r.Output, What: fmt.Sprintf("that had %d rows, now %d", r.total, rows)}
	}
	return nil
}
