package filerun

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// A run on a shared Redis stands there as a batch, so that others see how far it has come and can cancel it. What is in
// the journal holds; Redis is told.

// register makes the run's batch, or takes it up again, and tells it what is in the journal.
func (r *run) register(ctx context.Context) error {
	if r.Batches == nil {
		return nil
	}
	b := batches.Spec{
		ID: r.journal.RunID(), Name: filepath.Base(r.Input.Name()), Rows: r.total,
		SHA256: r.journal.InputSHA256(), Format: string(r.Input.Format()), BotID: r.Input.BotID(),
		Queue: r.Options.Queue, Attempts: r.Options.Attempts, Timeout: r.Options.Timeout,
	}
	if r.Output != "" {
		path, err := filepath.Abs(r.Output)
		if err != nil {
			return err
		}
		b.Output = path
		if b.Host, err = os.Hostname(); err != nil {
			return err
		}
	}
	b.Keep = max(r.Options.Keep, batches.DefaultKeep)
	known := batches.NewRunRows(r.total)
	records := r.journal.Reader()
	for row := 1; row <= r.total; row++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		res, err := records.Result(row)
		if err != nil {
			return err
		}
		m := tally.Mark{Row: row, Attempt: r.journal.Ask(row), Status: results.Queued}
		if res != nil {
			m.Status, m.Usage = res.Status, res.Billed()
			if res.Error != nil {
				m.Class, m.Code = res.Error.Class, res.Error.Code
			}
		}
		known.Set(m)
	}
	if err := r.lookForResults(ctx, known); err != nil {
		return err
	}
	return r.Batches.Register(ctx, b, known)
}

// tellFed notes in the journal and in the batch how far the rows are about to be enqueued, and hears there whether
// somebody has canceled it.
func (r *run) tellFed(ctx context.Context, row int) error {
	if r.Batches == nil {
		return nil
	}
	if err := r.journal.Feed(row); err != nil {
		return err
	}
	err := r.Batches.NoteEnqueued(ctx, r.journal.RunID(), row)
	if errors.Is(err, batches.ErrCanceled) {
		r.setCanceled()
		return nil
	}
	return err
}

// tellSubmitted notes in the batch that every row was enqueued. What is lost of that is a time in a list.
func (r *run) tellSubmitted(ctx context.Context) {
	if r.Batches != nil {
		_ = r.Batches.Submitted(ctx, r.journal.RunID())
	}
}

// tellCollected notes in the batch that the journal has every row. What is lost of that costs the workers' sweep a look
// for results that are not there.
func (r *run) tellCollected(ctx context.Context) {
	if r.Batches != nil {
		_ = r.Batches.Collected(ctx, r.journal.RunID(), r.total)
	}
}

// hearEvery is how often a run that enqueues nothing looks whether it was canceled.
const hearEvery = 2 * time.Second

// hearCancel ends the open rows when somebody cancels the batch, until ctx ends. Redis being away is no news.
func (r *run) hearCancel(ctx context.Context) error {
	tick := time.NewTicker(hearEvery)
	defer tick.Stop()
	for !r.isCanceled() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		b, err := r.Batches.Get(ctx, r.journal.RunID())
		if err != nil {
			continue
		}
		r.hear(b.Counts)
		if !b.CanceledAt.IsZero() {
			r.setCanceled()
		}
	}
	// Who canceled the batch cancels its tasks; these are the ones that came in beside it.
	var open []string
	r.mu.Lock()
	for id, f := range r.flights {
		if f.queued {
			open = append(open, id)
		}
	}
	r.mu.Unlock()
	for _, id := range open {
		if _, err := r.Tasks.Cancel(ctx, id); err != nil && !errors.Is(err, results.ErrNotFound) && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// hear notes what Redis has counted, for those that look on.
func (r *run) hear(c batches.Counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts = c
}

func (r *run) isCanceled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.canceled
}

func (r *run) setCanceled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.canceled = true
}

// canceledHere is the record of a row that was not enqueued before the batch was canceled.
func canceledHere(id string, row *input.Row) *results.Result {
	res := notAsked(id, row)
	res.Error = &results.Failure{
		Class:   "canceled",
		Message: "canceled before it was asked",
		Hint:    "ask it with --retry-failed",
	}
	return res
}
