package results

import (
	"context"
	"errors"
	"iter"
	"sync"
)

// MissingError is an ErrNotFound that names the id: one of many that are waited for has no record.
type MissingError struct{ ID string }

func (e *MissingError) Error() string { return e.ID + ": " + ErrNotFound.Error() }

// Unwrap returns ErrNotFound.
func (e *MissingError) Unwrap() error { return ErrNotFound }

// ErrClosed is returned to those who wait on a Store that is closed.
var ErrClosed = errors.New("result store is closed")

// Wait returns a task's result once it has ended. An id without a record is
// ErrNotFound at once.
func (s *Store) Wait(ctx context.Context, id string) (*Result, error) {
	for r, err := range s.WaitAll(ctx, func(yield func(string) bool) { yield(id) }) {
		return r, err
	}
	return nil, ctx.Err()
}

// WaitAll yields the results of many tasks in the order in which they end, over
// the one subscription that all waiters of the Store share. An id that is given
// again while it is waited for is yielded once. An id that has no
// record is yielded as an error that wraps ErrNotFound; the others go on. Any
// other error ends the sequence.
func (s *Store) WaitAll(ctx context.Context, ids iter.Seq[string]) iter.Seq2[*Result, error] {
	return func(yield func(*Result, error) bool) {
		w, err := s.NewWaiter()
		if err != nil {
			yield(nil, err)
			return
		}
		defer w.Close()
		n := 0
		var chunk []string
		flush := func() bool {
			added, err := w.add(ctx, chunk)
			if err != nil {
				yield(nil, err)
				return false
			}
			n += added
			chunk = chunk[:0]
			return true
		}
		for id := range ids {
			if chunk = append(chunk, id); len(chunk) == readChunk && !flush() {
				return
			}
		}
		if len(chunk) > 0 && !flush() {
			return
		}
		for range n {
			r, err := w.Next(ctx)
			if err != nil && !errors.Is(err, ErrNotFound) {
				yield(nil, err)
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Waiter waits for a changing set of tasks. Add and Next may be called from
// different goroutines.
type Waiter struct {
	hub *hub

	mu     sync.Mutex
	ids    map[string]struct{} // not yet delivered
	ended  []outcome
	notify chan struct{} // capacity 1: something was appended
}

type outcome struct {
	result *Result
	err    error
}

// NewWaiter returns a Waiter without tasks.
func (s *Store) NewWaiter() (*Waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.hub == nil {
		s.hub = newHub(s)
	}
	return &Waiter{hub: s.hub, ids: make(map[string]struct{}), notify: make(chan struct{}, 1)}, nil
}

// Add waits for these tasks too. A task that has ended already is delivered like
// the others; one that is waited for already is delivered once. After an error
// none of them is waited for.
func (w *Waiter) Add(ctx context.Context, ids ...string) error {
	_, err := w.add(ctx, ids)
	return err
}

// add returns how many of ids were not waited for before.
func (w *Waiter) add(ctx context.Context, ids []string) (int, error) {
	w.mu.Lock()
	fresh := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, ok := w.ids[id]; !ok {
			w.ids[id] = struct{}{}
			fresh = append(fresh, id)
		}
	}
	w.mu.Unlock()
	err := w.hub.add(ctx, w, fresh)
	if err != nil {
		w.mu.Lock()
		for _, id := range fresh {
			delete(w.ids, id)
		}
		w.mu.Unlock()
		w.hub.remove(w, fresh)
	}
	return len(fresh), err
}

// Next returns the next task that has ended. Its error is a *MissingError for an
// id without a record, and the context's error or ErrClosed when nothing more
// will come.
func (w *Waiter) Next(ctx context.Context) (*Result, error) {
	for {
		w.mu.Lock()
		if len(w.ended) > 0 {
			o := w.ended[0]
			w.ended[0] = outcome{}
			w.ended = w.ended[1:]
			w.mu.Unlock()
			return o.result, o.err
		}
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-w.hub.sub.Closed():
			return nil, ErrClosed
		case <-w.notify:
		}
	}
}

// Close gives up what is still waited for.
func (w *Waiter) Close() {
	w.mu.Lock()
	ids := make([]string, 0, len(w.ids))
	for id := range w.ids {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	w.hub.remove(w, ids)
}

// deliver is called by the hub, at most once for an id.
func (w *Waiter) deliver(id string, r *Result, err error) {
	w.mu.Lock()
	if _, ok := w.ids[id]; ok {
		delete(w.ids, id)
		if errors.Is(err, ErrNotFound) {
			err = &MissingError{ID: id}
		}
		w.ended = append(w.ended, outcome{r, err})
	}
	w.mu.Unlock()
	select {
	case w.notify <- struct{}{}:
	default:
	}
}
