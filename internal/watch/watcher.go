package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

const (
	// maxBuffer is how many events may wait for whoever a watcher tells.
	maxBuffer = 64

	// recheck is how often a watcher reads although nothing was heard.
	recheck = 15 * time.Second
)

// readWaits are the waits for a Redis that does not answer.
var readWaits = backoff.Policy{First: 100 * time.Millisecond, Most: 2 * time.Second, Jitter: 0.5}

// errStopped ends a watch whose caller wants no more, or that has had its end.
var errStopped = errors.New("stopped")

type watcher struct {
	hub     *Hub
	id      string
	resumed record.EntryID // what the caller gave
	yield   func(Event) bool
	told    bool // something, so that a Redis that goes away is waited for

	why results.Failure // of the status that was told last

	wake chan struct{} // capacity 1: buffer or behind has changed

	// Guarded by the hub's lock.
	status  results.Status // as it was told last
	at      record.EntryID // the last piece that was told or is in the buffer
	buffer  []Event        // nil while there is nothing
	behind  bool           // Redis is to be read when the buffer is empty
	reading bool           // it is being read
}

// look has the watcher read. It is called with the lock held.
func (w *watcher) look() {
	w.behind = true
	w.poke()
}

// offer hands a published piece to the watcher. It is called with the lock held.
func (w *watcher) offer(id, before record.EntryID, e Event) {
	switch {
	case id.Compare(w.at) <= 0: // it was read before it was heard
	case w.behind || w.reading || before != w.at || len(w.buffer) == maxBuffer:
		w.look()
	case w.status != results.Running && e.Type != End: // a piece comes behind the status
		w.look()
	default:
		w.buffer, w.at = append(w.buffer, e), id
		w.poke()
	}
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run tells everything to the end. It returns errStopped after that, or if the caller wants no more.
func (w *watcher) run(ctx context.Context, yield func(Event) bool) error {
	w.yield = yield
	if err := w.start(ctx); err != nil {
		return err
	}
	defer w.hub.leave(w)
	if err := w.persist(ctx, func() error { return w.hub.join(ctx, w) }); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := w.tell(ctx); err != nil {
			return err
		}
		timer.Reset(recheck + rand.N(recheck/4))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.hub.ended:
			return results.ErrClosed
		case <-w.wake:
		case <-timer.C:
			w.hub.mu.Lock()
			w.behind = true
			w.hub.mu.Unlock()
		}
	}
}

// start reads before anything is subscribed to: a task that has ended, or does not exist, needs no subscription.
func (w *watcher) start(ctx context.Context) error {
	if w.at != (record.EntryID{}) {
		last, err := w.hub.records.LastDelta(ctx, w.id)
		if err != nil {
			return err
		}
		if w.at.Compare(last.ID) > 0 {
			// The end of a task without a stream, or of another stream than this one. What comes may have smaller ids.
			w.at = record.EntryID{}
		}
	}
	for more := true; more; {
		err := w.persist(ctx, func() (err error) {
			more, err = w.read(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tell tells what is in the buffer, and then what is in Redis if that is asked for.
func (w *watcher) tell(ctx context.Context) error {
	for {
		w.hub.mu.Lock()
		buffer := w.buffer
		w.buffer = nil
		if buffer == nil {
			w.reading, w.behind = w.behind, false
		}
		reading := w.reading
		w.hub.mu.Unlock()
		for _, e := range buffer {
			if !w.yield(e) || e.Type == End {
				return errStopped
			}
		}
		if buffer != nil {
			continue
		}
		if !reading {
			return nil
		}
		var more bool
		err := w.persist(ctx, func() (err error) {
			more, err = w.read(ctx)
			return err
		})
		if err != nil {
			return err
		}
		w.hub.mu.Lock()
		w.behind = w.behind || more
		w.reading = false
		w.hub.mu.Unlock()
	}
}

// persist waits for a Redis that does not answer, once something was told: until then whoever watches can be told so.
func (w *watcher) persist(ctx context.Context, try func() error) error {
	return readWaits.Retry(ctx, func() error {
		select {
		case <-w.hub.ended:
			return results.ErrClosed
		default:
			return try()
		}
	}, func(err error, _ time.Duration) bool { return ctx.Err() == nil && w.told && passes(err) })
}

// passes reports whether an error is that of a Redis which is away, restarts, or fails over.
func passes(err error) bool {
	for _, final := range []error{errStopped, ErrEnded, results.ErrNotFound, results.ErrClosed} {
		if errors.Is(err, final) {
			return false
		}
	}
	if _, sealed := errors.AsType[*results.SealedError](err); sealed {
		return false
	}
	if _, answered := errors.AsType[redis.Error](err); !answered {
		return true
	}
	return redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) ||
		redis.IsClusterDownError(err) || redis.IsTryAgainError(err) || redis.IsMaxClientsError(err)
}
