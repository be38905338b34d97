package filerun

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
)

// errAllEnded ends the waiting: each row has its record.
var errAllEnded = errors.New("all rows have ended")

// run is one Run of a Job.
type run struct {
	job        *Job
	format     input.Format // of OUTPUT
	compressed bool         // OUTPUT is

	journal  *journal.Journal
	waiter   *results.Waiter
	window   *window
	same     *coalescer   // nil: there is no cache
	shared   *sharedBatch // nil: the Redis is not shared
	releaser *releaser    // nil: results stay in Redis
	sample   *sample      // nil: all rows are asked
	handover *handover    // nil: there is no command

	cancel  context.CancelCauseFunc
	started time.Time
	ended   chan struct{} // capacity 1: a row has ended

	recording sync.Mutex // one record at a time

	mu       sync.Mutex
	total    int             // rows; of a live input, so far
	blocked  map[string]bool // lanes in which nothing more is asked
	enqueued bool            // a row was
	fed      bool            // every row has been looked at
	tally    progress.Tally
	budget   budget
	meter    progress.Meter
	shown    time.Time // the last OnSnapshot
}

// Run asks every question that has no record yet. When each row has a record it writes OUTPUT and removes the journal.
//
// Rows with a record in the journal are not asked again. Rows whose chats were in flight are enqueued with what is known
// of those, so that the worker looks them up. A complete OUTPUT is left alone.
//
// When ctx ends, Run stops feeding, calls Drain, writes down what has ended meanwhile, and returns context.Cause(ctx); the
// same job resumes later. If all rows have ended by then, the run is complete all the same. Run ends with a *BudgetError
// when the budget is used up, with ErrSampled after a sample, with an *input.InvalidInput for a bad input, and with a
// *journal.ChangedError for an input that is not the journal's. The Summary is valid with any error.
func (j *Job) Run(ctx context.Context) (progress.Summary, error) {
	r := newRun(j)
	j.handle.set(r)
	defer j.handle.ready(journal.ErrClosed)
	done, err := r.open(ctx)
	if done || err != nil {
		s := r.summary()
		s.AlreadyComplete = done && err == nil
		return s, err
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel = cancel
	if learnt := r.journal.Limits(); j.OnLimits != nil && len(learnt) > 0 {
		j.OnLimits(learnt)
	}
	r.handover = r.startHandover(ctx)
	defer r.handover.abort()
	j.handle.ready(nil)
	r.show(true)
	err = r.ask(ctx, work)
	// A run that is complete by now is delivered, whatever has cut it short: the next run could do no more than that.
	if left := r.unfinished(); left == nil || err == nil {
		err = left
	}
	if err == nil {
		r.shared.noteCollected(ctx, r.total)
		err = r.handover.finish()
	} else {
		r.handover.abort() // before the journal is closed
	}
	if err == nil {
		err = r.deliver(context.WithoutCancel(ctx))
	}
	if failed := r.journal.Close(); failed != nil && !journal.IsWriteError(err) {
		err = errors.Join(err, failed)
	}
	r.show(true)
	s := r.summary()
	if err != nil && j.Output != "" {
		s.Journal = r.journal.Path()
	}
	return s, err
}

func newRun(j *Job) *run {
	now := time.Now()
	r := &run{
		job:     j,
		window:  newWindow(j.Window, j.SmallWindow),
		blocked: make(map[string]bool),
		budget:  budget{maxQuestions: j.MaxQuestions, maxTokens: j.MaxTokens},
		meter:   progress.Meter{Start: now},
		ended:   make(chan struct{}, 1),
		started: now,
	}
	if j.Cache != nil {
		r.same = &coalescer{asked: make(map[string][]*openRow)}
	}
	if j.Batches != nil {
		r.shared = &sharedBatch{batches: j.Batches, lost: make(map[int]*lostRow)}
	}
	if j.Forget || j.Batches != nil {
		r.releaser = newReleaser(r.removeResults)
	}
	return r
}

// ask feeds and waits until every row has a record, or work ends before ctx.
func (r *run) ask(ctx, work context.Context) error {
	waiter, err := r.job.Results.NewWaiter()
	if err != nil {
		return err
	}
	defer waiter.Close()
	r.waiter = waiter
	r.mu.Lock()
	r.meter.Start = time.Now()
	r.mu.Unlock()
	if err := r.chooseSample(ctx); err != nil {
		return err
	}
	if err := r.keepUploads(ctx); err != nil {
		return err
	}
	if err := r.register(ctx); err != nil {
		return err
	}
	defer r.releaser.start(ctx)()
	var feeding sync.WaitGroup
	feeding.Go(func() {
		if err := r.feed(work); err != nil {
			r.cancel(err)
			return
		}
		r.shared.noteSubmitted(work)
		r.mu.Lock()
		r.fed = true
		r.mu.Unlock()
		r.stopIfEnded()
	})
	if r.shared != nil {
		feeding.Go(func() {
			if err := r.watchCancel(work); err != nil {
				r.cancel(err)
			}
		})
	}
	err = r.collect(work)
	r.cancel(err)
	feeding.Wait()
	if errors.Is(err, errAllEnded) {
		return nil
	}
	return r.cutShort(ctx, err)
}

// stopIfEnded ends the waiting when nothing is left to wait for.
func (r *run) stopIfEnded() {
	r.mu.Lock()
	fed := r.fed
	r.mu.Unlock()
	if fed && r.window.len() == 0 {
		r.cancel(errAllEnded)
	}
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

// count adds a record to the tally; asked means that its row ended in this run.
func (r *run) count(res *results.Result, asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.Add(res, asked)
}

func (r *run) summary() progress.Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.tally.Summary()
	s.Rows, s.Output, s.Elapsed = r.total, r.job.Output, time.Since(r.started)
	s.Estimate = r.sample.estimate(&r.budget, &r.tally)
	return s
}

// show calls OnSnapshot, but not more often than people can see. Only the goroutine of Run calls it.
func (r *run) show(now bool) {
	if r.job.OnSnapshot == nil {
		return
	}
	t := time.Now()
	if !now && t.Sub(r.shown) < progress.SnapshotEvery {
		return
	}
	r.shown = t
	r.mu.Lock()
	s := r.snapshot(t)
	r.mu.Unlock()
	r.job.OnSnapshot(s)
}

// snapshot is called with r.mu held.
func (r *run) snapshot(now time.Time) progress.Snapshot {
	t := &r.tally
	c := r.stateCounts(now)
	return progress.Snapshot{
		Total:    r.total,
		Done:     t.Done(),
		Failed:   t.Done() - t.Answered,
		Cached:   t.Cached,
		Failures: t.Classes(),
		Enqueued: r.window.len() + r.same.len(),
		InFlight: c.inFlight, Queued: c.queued, Waiting: c.waits,
		Tokens: t.Tokens, TokensIn: t.TokensIn, TokensOut: t.TokensOut,
		Counted: t.Cost.N,
		Rate:    r.meter.Rate(now),
		Mean:    r.meter.Mean(now),
		Left:    r.meter.Left(now, r.total-t.Done()),
		Elapsed: now.Sub(r.started),
	}
}
