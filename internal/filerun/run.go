package filerun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/journal"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// errAllEnded stops the waiting: each row has its record.
var errAllEnded = errors.New("all rows have ended")

// run is one Run of a Job.
type run struct {
	*Job
	format     input.Format // of Output
	compressed bool         // and Output with it
	journal    *journal.Journal
	waiter     *results.Waiter
	window     chan struct{} // a token for each row in Redis, and for each row that the small window leaves out
	leftOut    int
	cancel     context.CancelCauseFunc
	releases   releases // in the journal, and in Redis still

	opening sync.Once
	opened  chan struct{} // closed when the journal is there, or never will be
	openErr error

	recording sync.Mutex // one record at a time

	mu       sync.Mutex
	total    int
	flights  map[string]*flight // by task id
	blocked  map[string]bool    // lanes in which no more is asked
	fedAny   bool               // a row was enqueued
	fed      bool               // every row has been looked at
	canceled bool               // somebody canceled the run's batch
	counts   batches.Counts     // what the shared Redis has counted; zero = not known
	tally    progress.Tally
	budget   budget
	meter    progress.Meter
	shown    time.Time // the last OnSnapshot

	twins    map[string]*twins // by cacheKey: rows that are being asked
	parked   int               // rows that wait for one of them
	released []*input.Row      // rows whose twin got no answer

	sample  map[int]bool  // see Job.Sample
	sampled *sampler      // nil = all is asked
	moved   chan struct{} // capacity 1: a row has ended
	lost    map[int]*lost // by row: see lookForResults
	started time.Time
}

// flight is a row of the window.
type flight struct {
	row    *input.Row
	id     string // of the task
	queued bool   // Enqueue has returned
	lost   bool   // its record had gone from Redis, and the row was enqueued again

	// What the worker of this process has told last.
	asked time.Time // it is about to be asked, and no chat is known yet
	chat  bool      // its chat runs
	wait  progress.Wait
}

func newRun(j *Job) *run {
	size := j.Window
	if size <= 0 {
		size = DefaultWindow
	}
	leftOut := 0
	if j.SmallWindow > 0 {
		leftOut = max(0, size-j.SmallWindow)
	}
	now := time.Now()
	r := &run{
		Job:      j,
		window:   make(chan struct{}, size),
		releases: releases{more: make(chan struct{}, 1)},
		opened:   make(chan struct{}),
		flights:  make(map[string]*flight),
		blocked:  make(map[string]bool),
		meter:    progress.Meter{Start: now},
		twins:    make(map[string]*twins),
		moved:    make(chan struct{}, 1),
		lost:     make(map[int]*lost),
		started:  now,
		leftOut:  leftOut,
	}
	for range leftOut {
		r.window <- struct{}{}
	}
	return r
}

// openWindow ends the small window.
func (r *run) openWindow() {
	for ; r.leftOut > 0; r.leftOut-- {
		<-r.window
	}
}

// ready lets the callers of Progress go on, once.
func (r *run) ready(err error) {
	r.opening.Do(func() {
		r.openErr = err
		close(r.opened)
	})
}

func (r *run) do(ctx context.Context) (progress.Summary, error) {
	done, err := r.open(ctx)
	if done || err != nil {
		s := r.summary()
		s.AlreadyComplete = done && err == nil
		return s, err
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel = cancel
	if r.OnLimits != nil && len(r.journal.Learnt()) > 0 {
		r.OnLimits(r.journal.Learnt())
	}
	r.ready(nil)
	r.show(true)
	err = r.ask(ctx, work)
	// Whatever has cut a run short, one that is whole by now is delivered: the next run could do no more than that.
	if left := r.unfinished(); left == nil || err == nil {
		err = left
	}
	if err == nil {
		r.tellCollected(ctx)
		err = r.deliver(context.WithoutCancel(ctx))
	}
	if failed := r.journal.Close(); failed != nil && !journal.IsWriteError(err) {
		err = errors.Join(err, failed)
	}
	r.show(true)
	s := r.summary()
	if err != nil && r.Output != "" {
		s.Journal = r.journal.Path()
	}
	return s, err
}

// ask feeds and waits until every row has a record, or work ends before ctx.
func (r *run) ask(ctx, work context.Context) error {
	waiter, err := r.Results.NewWaiter()
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
	if err := r.register(ctx); err != nil {
		return err
	}
	defer r.releasing(ctx)()
	var feeding sync.WaitGroup
	feeding.Go(func() {
		if err := r.feed(work); err != nil {
			r.cancel(err)
			return
		}
		r.tellSubmitted(work)
		r.mu.Lock()
		r.fed = true
		r.mu.Unlock()
		r.stopIfEnded()
	})
	if r.Batches != nil {
		feeding.Go(func() {
			if err := r.hearCancel(work); err != nil {
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
	ended := r.fed && len(r.flights) == 0
	r.mu.Unlock()
	if ended {
		r.cancel(errAllEnded)
	}
}

// deliver turns the journal into OUTPUT.
func (r *run) deliver(ctx context.Context) error {
	if r.Output == "" {
		return nil
	}
	if err := r.writeOutput(ctx); err != nil {
		return err
	}
	if err := os.Remove(r.journal.Path()); err != nil {
		return fmt.Errorf("%s is complete, but: %w", r.Output, err)
	}
	return nil
}

func (r *run) summary() progress.Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.tally.Summary()
	s.Rows, s.Output, s.Elapsed, s.Estimate = r.total, r.Output, time.Since(r.started), r.estimate()
	return s
}

// show tells OnSnapshot, not more often than people can see. Only the goroutine of Run calls it.
func (r *run) show(now bool) {
	if r.OnSnapshot == nil {
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
	r.OnSnapshot(s)
}

// snapshot is called with r.mu held.
func (r *run) snapshot(now time.Time) progress.Snapshot {
	t := &r.tally
	s := progress.Snapshot{
		Total:    r.total,
		Done:     t.Done(),
		Failed:   t.Done() - t.Answered,
		Cached:   t.Cached,
		Failures: t.Classes(),
		Enqueued: len(r.flights) + r.parked,
		Tokens:   t.Tokens, TokensIn: t.TokensIn, TokensOut: t.TokensOut,
		Counted: t.Cost.N,
		Rate:    r.meter.Rate(now),
		Mean:    r.meter.Mean(now),
		Left:    r.meter.Left(now, r.total-t.Done()),
		Elapsed: now.Sub(r.started),
	}
	c := r.census(now)
	s.InFlight, s.Queued, s.Waiting = c.inFlight, c.queued, c.waits
	return s
}
