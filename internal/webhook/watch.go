package webhook

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/results"
)

const (
	// gatherFor is how long what is scheduled waits before its end is waited for: in this time it gets its record, and one
	// SUBSCRIBE names many.
	gatherFor = 250 * time.Millisecond

	// mostWatched bounds what one process waits for, tasks and batches each. The watchdog finds the ends of the others.
	mostWatched = 200_000
	mostBatches = 10_000

	// nudges are at work at a time.
	nudges = 8

	nudgeAgain = time.Second
	batchEvery = time.Second
	missTries  = 5 // how often what has no record is looked for again, about a second apart
)

// watch waits for the ends of what this process has scheduled or looked at, and has asynq run their deliveries at once. It
// loses nothing that matters: without it the watchdog finds each end some seconds or minutes later.
type watch struct {
	s *Sender

	mu      sync.Mutex
	fresh   []string            // tasks to be waited for at the next tick
	tasks   map[string]struct{} // all that are waited for
	missing map[string]int      // looks at tasks without a record
	batches map[string]int      // looks at a batch that was not there
	due     []string            // ids of asynq tasks to be run now
	wake    chan struct{}       // capacity 1: due has grown
}

func newWatch(s *Sender) *watch {
	return &watch{
		s: s, tasks: make(map[string]struct{}), missing: make(map[string]int), batches: make(map[string]int),
		wake: make(chan struct{}, 1),
	}
}

func (w *watch) add(kind Kind, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if kind == Batch {
		if _, there := w.batches[id]; !there && len(w.batches) < mostBatches {
			w.batches[id] = 0
		}
		return
	}
	if _, there := w.tasks[id]; !there && len(w.tasks) < mostWatched {
		w.tasks[id] = struct{}{}
		w.fresh = append(w.fresh, id)
	}
}

func (w *watch) run(ctx context.Context) error {
	waiter, err := w.s.store.NewWaiter()
	if err != nil {
		return err
	}
	defer waiter.Close()
	var actors sync.WaitGroup
	defer actors.Wait()
	actors.Go(func() { w.gather(ctx, waiter) })
	actors.Go(func() { w.hear(ctx, waiter) })
	actors.Go(func() { w.lookAtBatches(ctx) })
	w.nudgeAll(ctx)
	return nil
}

// gather waits for what was added. What Redis could not be asked about is tried again.
func (w *watch) gather(ctx context.Context, waiter *results.Waiter) {
	var last []string
	for backoff.Sleep(ctx, gatherFor) == nil {
		if len(last) > 0 && waiter.Add(ctx, last...) != nil {
			continue
		}
		w.mu.Lock()
		last, w.fresh = w.fresh, nil
		w.mu.Unlock()
	}
}

// hear collects ends. Of an end only the id is kept: the delivery reads the record.
func (w *watch) hear(ctx context.Context, waiter *results.Waiter) {
	for {
		r, err := waiter.Next(ctx)
		var missing *results.MissingError
		switch {
		case errors.As(err, &missing):
			w.missed(missing.ID)
		case err != nil:
			return
		default:
			w.ended(r.ID)
		}
	}
}

func (w *watch) ended(id string) {
	w.mu.Lock()
	delete(w.tasks, id)
	delete(w.missing, id)
	w.mu.Unlock()
	w.nudge(Task.taskID(id))
}

// missed looks again later: the task may not be enqueued yet.
func (w *watch) missed(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing[id]++; w.missing[id] > missTries {
		delete(w.missing, id)
		delete(w.tasks, id)
		return
	}
	time.AfterFunc(time.Second, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fresh = append(w.fresh, id)
	})
}

// lookAtBatches polls: nothing tells of a batch's end.
func (w *watch) lookAtBatches(ctx context.Context) {
	for backoff.Sleep(ctx, batchEvery) == nil {
		w.mu.Lock()
		ids := make([]string, 0, len(w.batches))
		for id := range w.batches {
			ids = append(ids, id)
		}
		w.mu.Unlock()
		for _, id := range ids {
			event, err := w.s.readBatch(ctx, id)
			switch unknown := errors.Is(err, errUnknown); {
			case err != nil && !unknown:
			case unknown:
				w.mu.Lock()
				if w.batches[id]++; w.batches[id] > missTries {
					delete(w.batches, id)
				}
				w.mu.Unlock()
			case event.body != nil:
				w.mu.Lock()
				delete(w.batches, id)
				w.mu.Unlock()
				w.nudge(Batch.taskID(id))
			}
		}
	}
}

func (w *watch) nudge(ids ...string) {
	w.mu.Lock()
	w.due = append(w.due, ids...)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watch) nudgeAll(ctx context.Context) {
	var mu sync.Mutex
	var again []string
	for {
		w.mu.Lock()
		due := w.due
		w.due = nil
		w.mu.Unlock()
		next := make(chan string)
		var workers sync.WaitGroup
		for range min(nudges, len(due)) {
			workers.Go(func() {
				for id := range next {
					if !w.s.runNow(id) {
						mu.Lock()
						again = append(again, id)
						mu.Unlock()
					}
				}
			})
		}
		for _, id := range due {
			if ctx.Err() != nil {
				break
			}
			next <- id
		}
		close(next)
		workers.Wait()
		if ids := again; len(ids) > 0 {
			again = nil
			time.AfterFunc(nudgeAgain, func() { w.nudge(ids...) })
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
	}
}

// runNow has a delivery run that waits for its first try. It returns false if it is to be called again: Redis is away, or
// the task is being looked at, perhaps by a process that has read the record before its end.
func (s *Sender) runNow(id string) bool {
	info, err := s.inspector.GetTaskInfo(Queue, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return true
	case err != nil:
		return false
	case info.Retried > 0: // it has its time
		return true
	}
	switch info.State {
	case asynq.TaskStateScheduled, asynq.TaskStateRetry:
		return s.inspector.RunTask(Queue, id) == nil
	case asynq.TaskStateActive:
		return false
	}
	return true
}
