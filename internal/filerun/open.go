package filerun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// journalSuffix makes the journal's name from OUTPUT's.
const journalSuffix = ".partial"

// open checks the input and opens the journal, so that it is known of every row whether it has ended. done is true if OUTPUT
// is complete already.
func (r *run) open(ctx context.Context) (done bool, err error) {
	in, path := r.job.Input, r.job.Output
	if in.Live() || path == "" {
		var stats input.Stats
		if !in.Live() {
			if stats, err = in.Check(ctx); err != nil {
				return false, err
			}
		}
		r.setTotal(stats.Rows)
		r.journal = journal.InMemory()
		return false, r.journal.Begin(journal.NewRunID(), in.Source(stats))
	}
	if r.format, r.compressed, err = input.OutputFormat(path); err != nil {
		return false, err
	}
	if err := output.CheckFor(ctx, in, path); err != nil {
		return false, err
	}
	complete, begun, err := r.existing()
	if err != nil {
		return false, err
	}
	again := complete && !begun && !r.job.Force
	if again {
		if err := r.tallyOutput(ctx); err != nil {
			return false, err
		}
		if !r.job.RetryFailed || r.tally.Answered == r.total {
			err := r.sameRows(ctx)
			if err != nil {
				r.resetTally()
				r.setTotal(0) // the records are of another input
			}
			return true, err
		}
		r.resetTally()
	}
	stats, err := in.Check(ctx)
	if err != nil {
		return false, err
	}
	r.setTotal(stats.Rows)
	if r.journal, err = journal.Open(ctx, path+journalSuffix); err != nil {
		return false, err
	}
	source := in.Source(stats)
	if again {
		err = r.reopen(ctx, source)
	} else {
		err = r.resume(source)
	}
	if err == nil {
		err = r.tallyJournal(ctx)
	}
	if err == nil {
		return false, nil
	}
	if r.journal.IsEmpty() {
		err = errors.Join(err, os.Remove(r.journal.Path())) // it was created just now
	}
	return false, errors.Join(err, r.journal.Close())
}

// existing reports whether OUTPUT exists, and whether a journal does. A journal beside OUTPUT is that of a run with
// RetryFailed or Force, or its own removal, the last step of a run, is missing: either is resumed. An empty journal is the
// trace of a run that was stopped before it began.
func (r *run) existing() (complete, begun bool, err error) {
	_, err = os.Stat(r.job.Output)
	if complete = err == nil; err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, err
	}
	info, err := os.Stat(r.job.Output + journalSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, err
	}
	return complete, err == nil && info.Size() > 0, nil
}

// resume continues the journal's run, or begins one.
func (r *run) resume(s input.Source) error {
	if !r.job.Force {
		began, err := r.journal.Load(s)
		if err != nil || began {
			return err
		}
	}
	return r.journal.Begin(journal.NewRunID(), s)
}

func (r *run) resetTally() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally = progress.Tally{}
}

// tallyJournal counts the records of earlier runs, and voids those that shall be asked again.
func (r *run) tallyJournal(ctx context.Context) error {
	err := r.eachRow(ctx, func(row int, res *results.Result) error {
		switch {
		case res == nil:
		case r.job.RetryFailed && res.Status != results.Completed:
			return r.journal.Void(row, res)
		default:
			r.count(res, false)
			if progress.WasAsked(res) {
				r.budget.questions++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	void, begun := r.journal.AskedBefore()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.Spend(r.journal.Billed())
	r.budget.questions += void + len(begun)
	r.budget.begun = begun
	return nil
}

// outputRecords reads back a complete OUTPUT.
func (r *run) outputRecords(ctx context.Context) iter.Seq2[*results.Result, error] {
	return func(yield func(*results.Result, error) bool) {
		c, err := r.job.Input.OutputColumns(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		output.File{Path: r.job.Output, ID: c.ID}.Records(ctx)(yield)
	}
}

// tallyOutput counts the records of a complete OUTPUT.
func (r *run) tallyOutput(ctx context.Context) error {
	rows := 0
	for res, err := range r.outputRecords(ctx) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rows++
		r.count(res, false)
	}
	r.setTotal(rows)
	return nil
}

// sameRows checks by number and custom_ids of the rows that a complete OUTPUT is of this input: after questions
// were added, it must not say that all are answered. Not every OUTPUT has the questions, so a changed word goes unnoticed.
func (r *run) sameRows(ctx context.Context) error {
	next, stop := iter.Pull2(r.outputRecords(ctx))
	defer stop()
	rows := 0
	for row, err := range r.job.Input.Rows() {
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
			return r.changed("row %d is %q there, now %q", rows, res.CustomID, row.CustomID)
		}
	}
	if rows != r.total {
		return r.changed("that had %d rows, now %d", r.total, rows)
	}
	return nil
}

func (r *run) changed(format string, args ...any) error {
	return &journal.ChangedError{File: r.job.Output, What: fmt.Sprintf(format, args...)}
}

// reopen makes a journal of the complete OUTPUT, so that its failed rows can be asked again. OUTPUT stays until the new one
// replaces it.
func (r *run) reopen(ctx context.Context, s input.Source) error {
	fresh, err := r.journal.Remake(ctx, func(fresh *journal.Journal) error { return r.refill(ctx, fresh, s) })
	if fresh != nil {
		r.journal = fresh
	}
	return err
}

// refill writes the records of OUTPUT into the journal.
func (r *run) refill(ctx context.Context, fresh *journal.Journal, s input.Source) error {
	row := 0
	next, stop := iter.Pull2(r.job.Input.Rows())
	defer stop()
	for res, err := range r.outputRecords(ctx) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		id, n, ask, ok := batches.ParseTaskID(res.ID)
		if row++; row == 1 {
			// The run keeps its name, so that its ids continue those in use.
			name := id
			if !ok {
				name = journal.NewRunID()
			}
			if err := fresh.Begin(name, s); err != nil {
				return err
			}
		}
		in, err, more := next()
		if err != nil {
			return err
		}
		if !more {
			return r.changed("that had other than %d rows", r.total)
		}
		if in.CustomID != res.CustomID {
			return r.changed("row %d is %q there, now %q", row, res.CustomID, in.CustomID)
		}
		if !ok || id != fresh.RunID() || n != row {
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
		if r.job.OnResult != nil { // it was given to the command before OUTPUT was there
			if err := fresh.Take(row); err != nil {
				return err
			}
		}
	}
	if row != r.total {
		return r.changed("that had %d rows, now %d", row, r.total)
	}
	return nil
}
