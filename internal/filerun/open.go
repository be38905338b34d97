package filerun

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/output"
	"github.com/cozeq/cozeq/internal/progress"
)

// journalSuffix makes the journal's name from OUTPUT's.
const journalSuffix = ".partial"

// open checks the input and opens the journal, so that every row is known to have ended or not. done is true where
// OUTPUT is complete already.
func (r *run) open(ctx context.Context) (done bool, err error) {
	if r.Input.Live() {
		r.journal = journal.New("", nil)
		return false, r.journal.Begin(journal.NewRunID(), r.Input.Source(input.Stats{}))
	}
	if r.Output == "" {
		stats, err := r.Input.Check(ctx)
		if err != nil {
			return false, err
		}
		r.journal = journal.New("", nil)
		r.setTotal(stats.Rows)
		return false, r.journal.Begin(journal.NewRunID(), r.Input.Source(stats))
	}
	if r.format, r.compressed, err = input.OutputFormat(r.Output); err != nil {
		return false, err
	}
	if err := output.CheckFor(ctx, r.Input, r.Output); err != nil {
		return false, err
	}
	complete, begun, err := r.whatIsThere()
	if err != nil {
		return false, err
	}
	again := complete && !begun && !r.Force
	if again {
		if err := r.tallyOutput(ctx); err != nil {
			return false, err
		}
		if !r.RetryFailed || r.tally.Answered == r.total {
			err := r.sameRows(ctx)
			if err != nil {
				r.mu.Lock()
				r.tally, r.total = progress.Tally{}, 0 // of another input: not this run's to sum up
				r.mu.Unlock()
			}
			return true, err
		}
		r.mu.Lock()
		r.tally = progress.Tally{}
		r.mu.Unlock()
	}
	stats, err := r.Input.Check(ctx)
	if err != nil {
		return false, err
	}
	r.setTotal(stats.Rows)
	if r.journal, err = journal.Open(ctx, r.Output+journalSuffix); err != nil {
		return false, err
	}
	source := r.Input.Source(stats)
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
		err = errors.Join(err, os.Remove(r.journal.Path())) // made a moment ago, for nothing
	}
	return false, errors.Join(err, r.journal.Close())
}

func (r *run) setTotal(rows int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total = rows
}

// rows is how many rows there are; of a live input, so far.
func (r *run) rows() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// whatIsThere tells whether OUTPUT exists, and whether a journal does. A journal beside OUTPUT is that of a run with
// RetryFailed or Force, or one whose last step, its own removal, is missing: either is gone on with. An empty journal
// is the trace of a run that was stopped before it began.
func (r *run) whatIsThere() (complete, begun bool, err error) {
	_, err = os.Stat(r.Output)
	if complete = err == nil; err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, err
	}
	journal, err := os.Stat(r.Output + journalSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, false, err
	}
	return complete, err == nil && journal.Size() > 0, nil
}

// resume goes on with the journal's run, or begins one.
func (r *run) resume(s input.Source) error {
	if !r.Force {
		began, err := r.journal.Load(s)
		if err != nil || began {
			return err
		}
	}
	return r.journal.Begin(journal.NewRunID(), s)
}

// tallyJournal counts the records of earlier runs, and voids those that shall be asked again.
func (r *run) tallyJournal(ctx context.Context) error {
	records := r.journal.Reader()
	for row := 1; row <= r.total; row++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		res, err := records.Result(row)
		switch {
		case err != nil:
			return err
		case res == nil:
		case r.RetryFailed && failed(res):
			if err := r.journal.Void(row, res); err != nil {
				return err
			}
		default:
			r.mu.Lock()
			r.tally.Add(res, false)
			r.mu.Unlock()
			if progress.WasAsked(res) {
				r.budget.questions++
			}
		}
	}
	r.mu.Lock()
	r.tally.Spend(r.journal.Billed())
	r.mu.Unlock()
	void, flying := r.journal.AskedBefore()
	r.budget.questions += void + len(flying)
	r.budget.flying = flying
	return nil
}

// tallyOutput counts the records of an OUTPUT that is complete.
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
		r.mu.Lock()
		r.tally.Add(res, false)
		r.mu.Unlock()
	}
	r.setTotal(rows)
	return nil
}
