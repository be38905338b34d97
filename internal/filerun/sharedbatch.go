package filerun

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// sharedBatch is the run's batch in a shared Redis, where others see how far it has come and can cancel it. The journal
// decides, the batch only mirrors it. A nil one is that of a Redis that is not shared.
type sharedBatch struct {
	batches *runbatch.Client
	id      string
	lost    map[int]*lostRow // by row; see lookForResults

	canceled atomic.Bool
	counts   atomic.Pointer[batches.Counts] // as the shared Redis has counted last; nil = not known
}

// register makes the run's batch, or takes it up again, with what is in the journal.
func (r *run) register(ctx context.Context) error {
	if r.shared == nil {
		return nil
	}
	r.shared.id = r.journal.RunID()
	b := batches.Spec{
		ID: r.shared.id, Name: filepath.Base(r.job.Input.Name()), Rows: r.total,
		SHA256: r.journal.InputSHA256(), Format: string(r.job.Input.Format()), BotID: r.job.Input.BotID(),
		Queue: r.job.Options.Queue, Attempts: r.job.Options.Attempts, Timeout: r.job.Options.Timeout,
		Keep: max(r.job.Options.Keep, batches.DefaultKeep),
	}
	if r.job.Output != "" {
		var err error
		if b.Output, err = filepath.Abs(r.job.Output); err != nil {
			return err
		}
		if b.Host, err = os.Hostname(); err != nil {
			return err
		}
	}
	known := runbatch.NewRows(r.total)
	err := r.eachRow(ctx, func(row int, res *results.Result) error {
		known.Set(markOf(row, r.journal.Ask(row), res))
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.lookForResults(ctx, known); err != nil {
		return err
	}
	return r.shared.batches.Register(ctx, b, known)
}

// markOf is what a batch keeps of a row's record; nil = it has none.
func markOf(row, ask int, res *results.Result) tally.Mark {
	m := tally.Mark{Row: row, Attempt: ask, Status: results.Queued}
	if res != nil {
		m.Status, m.Usage = res.Status, res.Billed()
		if res.Error != nil {
			m.Class, m.Code = res.Error.Class, res.Error.Code
		}
	}
	return m
}

// noteFed notes in the journal and in the batch up to which row rows are about to be enqueued, and learns whether the batch
// was canceled.
func (r *run) noteFed(ctx context.Context, row int) error {
	s := r.shared
	if s == nil {
		return nil
	}
	if err := r.journal.Feed(row); err != nil {
		return err
	}
	err := s.batches.NoteEnqueued(ctx, s.id, row)
	if errors.Is(err, batches.ErrCanceled) {
		s.canceled.Store(true)
		return nil
	}
	return err
}

// noteSubmitted notes in the batch that every row was enqueued. If that fails, a time in a list is missing.
func (s *sharedBatch) noteSubmitted(ctx context.Context) {
	if s != nil {
		_ = s.batches.Submitted(ctx, s.id)
	}
}

// noteCollected notes in the batch that the journal has every row. If that fails, the workers' sweep looks once for
// results that are not there.
func (s *sharedBatch) noteCollected(ctx context.Context, rows int) {
	if s != nil {
		_ = s.batches.Collected(ctx, s.id, rows)
	}
}

// watchEvery is how often a run that enqueues nothing looks whether it was canceled.
const watchEvery = 2 * time.Second

// watchCancel ends the open rows when the batch is canceled, until ctx ends. It ignores a Redis that is away.
func (r *run) watchCancel(ctx context.Context) error {
	s := r.shared
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for !s.isCanceled() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		b, err := s.batches.Get(ctx, s.id)
		if err != nil {
			continue
		}
		s.counts.Store(&b.Counts)
		if !b.CanceledAt.IsZero() {
			s.canceled.Store(true)
		}
	}
	// The cancel of a batch cancels its tasks; these were enqueued at the same time.
	for _, o := range r.window.queued() {
		if _, err := r.job.Tasks.Cancel(ctx, o.id); err != nil && !errors.Is(err, results.ErrNotFound) && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// batchCounts is what the shared Redis has counted last; zero = not known.
func (s *sharedBatch) batchCounts() (c batches.Counts) {
	if s != nil && s.counts.Load() != nil {
		c = *s.counts.Load()
	}
	return c
}

func (s *sharedBatch) isCanceled() bool { return s != nil && s.canceled.Load() }

// lostRow returns what is known of a row whose result is gone; nil for all others.
func (s *sharedBatch) lostRow(row int) *lostRow {
	if s == nil {
		return nil
	}
	return s.lost[row]
}
