package batch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func failed(r *results.Result) bool { return r.Status != results.Completed }

// reopen makes a journal of the complete OUTPUT, so that its failed rows can be asked again. OUTPUT stays as it is
// until the new one takes its place.
//
// The journal is written under another name and put into place as a whole: one that holds half of the records would be
// gone on with as if the other half had never been asked. Both files are locked, so that the name is ours throughout.
func (r *run) reopen(ctx context.Context, s source) error {
	name := r.journal.path
	fresh, err := openJournal(ctx, name+temporarySuffix)
	if err != nil {
		return err
	}
	err = r.refill(ctx, fresh, s)
	if err == nil {
		err = fresh.file.Sync()
	}
	if err == nil {
		err = os.Rename(fresh.path, name)
	}
	if err != nil {
		return errors.Join(err, fresh.close(), os.Remove(fresh.path))
	}
	fresh.path = name
	err = r.journal.close()
	r.journal = fresh
	return err
}

// refill writes the records of the output into the journal.
func (r *run) refill(ctx context.Context, fresh *journal, s source) error {
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
			id, _, _, ok := tasks.ParseBatchTaskID(res.ID)
			if !ok {
				id = newRunID()
			}
			if err := fresh.begin(id, s); err != nil {
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
			return &ChangedError{File: r.Output, What: fmt.Sprintf("that had other than %d rows", r.total)}
		}
		if in.CustomID != res.CustomID {
			return &ChangedError{File: r.Output, What: fmt.Sprintf("row %d is %q there, now %q", row, res.CustomID, in.CustomID)}
		}
		run, n, ask, ok := tasks.ParseBatchTaskID(res.ID)
		if !ok || run != fresh.head.Run || n != row {
			res.ID = tasks.BatchTaskID(fresh.head.Run, row, 1)
		} else if ask > 1 {
			fresh.asks[row] = ask
		}
		line, err := encodeRecord(res, in)
		if err != nil {
			return err
		}
		if err := fresh.record(row, line, results.Usage{}); err != nil {
			return err
		}
	}
	if row != r.total {
		return &ChangedError{File: r.Output, What: fmt.Sprintf("that had %d rows, now %d", row, r.total)}
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
		if _, invalid := errors.AsType[*Problem](err); err != nil && !invalid {
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
			return &ChangedError{File: r.Output, What: fmt.Sprintf("row %d is %q there, now %q", rows, res.CustomID, row.CustomID)}
		}
	}
	if rows != r.total {
		return &ChangedError{File: r.Output, What: fmt.Sprintf("that had %d rows, now %d", r.total, rows)}
	}
	return nil
}
