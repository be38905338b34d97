package batch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cozeq/cozeq/results"
)

// errAllEnded stops the waiting: each row has its record.
var errAllEnded = errors.New("all rows have ended")

// run is one Run of a Job.
type run struct {
	*Job
	format  Format // of Output
	journal *journal
	waiter  *results.Waiter
	window  chan struct{} // a token for each row in Redis
	cancel  context.CancelCauseFunc

	opening sync.Once
	opened  chan struct{} // closed when the journal is there, or never will be
	openErr error

	recording sync.Mutex // one record at a time

	mu      sync.Mutex
	total   int
	flights map[string]*flight // by task id
	blocked map[string]bool    // lanes in which no more is asked
	fed     bool               // every row has been looked at
	tally   tally
	meter   meter
	shown   time.Time // the last OnSnapshot
	started time.Time
}

// flight is a row of the window.
type flight struct {
	row    *Row
	queued bool // Enqueue has returned
	lost   bool // its record had gone from Redis, and the row was enqueued again
}

func newRun(j *Job) *run {
	size := j.Window
	if size <= 0 {
		size = DefaultWindow
	}
	now := time.Now()
	return &run{
		Job:     j,
		window:  make(chan struct{}, size),
		opened:  make(chan struct{}),
		flights: make(map[string]*flight),
		blocked: make(map[string]bool),
		meter:   meter{start: now},
		started: now,
	}
}

// ready lets the callers of Progress go on, once.
func (r *run) ready(err error) {
	r.opening.Do(func() {
		r.openErr = err
		close(r.opened)
	})
}

func (r *run) do(ctx context.Context) (Summary, error) {
	done, err := r.open(ctx)
	if done || err != nil {
		s := r.summary()
		s.AlreadyComplete = done && err == nil
		return s, err
	}
	r.ready(nil)
	r.show(true)
	err = r.ask(ctx)
	if err == nil {
		err = r.deliver(ctx)
	}
	if failed := r.journal.close(); failed != nil {
		err = errors.Join(err, failed)
	}
	r.show(true)
	s := r.summary()
	if err != nil && r.Output != "" {
		s.Journal = r.journal.path
	}
	return s, err
}

// ask feeds and waits until every row has a record.
func (r *run) ask(ctx context.Context) error {
	waiter, err := r.Results.NewWaiter()
	if err != nil {
		return err
	}
	defer waiter.Close()
	r.waiter = waiter
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel = cancel

	var feeding sync.WaitGroup
	feeding.Go(func() {
		if err := r.feed(work); err != nil {
			cancel(err)
			return
		}
		r.mu.Lock()
		r.fed = true
		r.mu.Unlock()
		r.stopIfEnded()
	})
	err = r.collect(work)
	cancel(err)
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
	if err := os.Remove(r.journal.path); err != nil {
		return fmt.Errorf("%s is complete, but: %w", r.Output, err)
	}
	return nil
}

func (r *run) summary() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.tally.summary()
	s.Rows, s.Output, s.Elapsed = r.total, r.Output, time.Since(r.started)
	return s
}

// show tells OnSnapshot, not more often than people can see. Only the goroutine of Run calls it.
func (r *run) show(now bool) {
	if r.OnSnapshot == nil {
		return
	}
	t := time.Now()
	if !now && t.Sub(r.shown) < snapshotEvery {
		return
	}
	r.shown = t
	r.mu.Lock()
	s := r.snapshot(t)
	r.mu.Unlock()
	r.OnSnapshot(s)
}

// snapshot is called with r.mu held.
func (r *run) snapshot(now time.Time) Snapshot {
	return Snapshot{
		Total:    r.total,
		Done:     r.tally.done(),
		Failed:   r.tally.done() - r.tally.answered,
		InFlight: len(r.flights),
		Tokens:   r.tally.tokens,
		Rate:     r.meter.rate(now),
		Elapsed:  now.Sub(r.started),
	}
}
