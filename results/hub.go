package results

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/subscription"
)

// readChunk is how many records one pipeline reads.
const readChunk = 500

// recheck is how often the records of all tasks that are waited for are read
// although nothing was heard: pub/sub promises no delivery, and a message lost
// without a broken connection leaves no other trace.
const recheck = 30 * time.Second

// retryRead is when records are read again that could not be: a Redis that loads
// its file takes subscriptions before it answers.
const retryRead = time.Second

// hub is what the waiters of a Store share: one subscription.
//
// The lost wake-up: a task may end after its waiter looked and before the
// subscription stands. So the record is read after Redis has confirmed the
// subscription, never before; from then on the end is either in the record or
// on the channel (they are written in one step). go-redis subscribes again when
// a connection drops and the new confirmation leads to a new read: one rule for
// the first connection and for every later one.
type hub struct {
	store  *Store
	sub    *subscription.Subscription
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	waiters map[string][]*Waiter // by id
	confirm []string             // ids to read, their subscription is confirmed
	wake    chan struct{}        // capacity 1: confirm has grown
}

func newHub(s *Store) *hub {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hub{
		store:   s,
		cancel:  cancel,
		waiters: make(map[string][]*Waiter),
		wake:    make(chan struct{}, 1),
	}
	h.sub = subscription.New(s.rdb, h)
	h.done.Go(func() { h.read(ctx) })
	return h
}

func (h *hub) close() error {
	h.cancel()
	err := h.sub.Close()
	h.done.Wait()
	return err
}

func (h *hub) add(ctx context.Context, w *Waiter, ids []string) error {
	for chunk := range slices.Chunk(ids, readChunk) {
		err := h.sub.Subscribe(ctx, func() []string { return h.note(w, chunk) })
		if errors.Is(err, redis.ErrClosed) {
			return ErrClosed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// note adds a waiter and returns the channels that nobody has waited for.
func (h *hub) note(w *Waiter, ids []string) []string {
	channels := make([]string, 0, len(ids))
	h.mu.Lock()
	for _, id := range ids {
		h.waiters[id] = append(h.waiters[id], w)
		if len(h.waiters[id]) == 1 {
			channels = append(channels, Channel(id))
		} else {
			// Subscribed already, perhaps before this task's end: read now.
			h.confirm = append(h.confirm, id)
		}
	}
	h.mu.Unlock()
	h.poke()
	return channels
}

// remove does not wait for Redis: it is called where a context has ended.
func (h *hub) remove(w *Waiter, ids []string) {
	var gone []string
	h.mu.Lock()
	for _, id := range ids {
		h.waiters[id] = slices.DeleteFunc(h.waiters[id], func(other *Waiter) bool { return other == w })
		if len(h.waiters[id]) == 0 {
			delete(h.waiters, id)
			gone = append(gone, Channel(id))
		}
	}
	h.mu.Unlock()
	h.sub.Release(gone...)
}

func (h *hub) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Wanted implements subscription.Listener.
func (h *hub) Wanted(channel string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiters[strings.TrimPrefix(channel, rediskey.Done)]) > 0
}

// Stands implements subscription.Listener.
func (h *hub) Stands(channel string) {
	h.mu.Lock()
	h.confirm = append(h.confirm, strings.TrimPrefix(channel, rediskey.Done))
	h.mu.Unlock()
	h.poke()
}

// Heard implements subscription.Listener.
func (h *hub) Heard(channel, message string) {
	id := strings.TrimPrefix(channel, rediskey.Done)
	if r, err := Decode(id, []byte(message), h.store.Keys); err == nil && r.Status.Terminal() {
		h.deliver(id, r, nil)
	} else {
		h.Stands(channel) // somebody else's message on our channel: the record decides
	}
}

// deliver hands an end to all who wait for it.
func (h *hub) deliver(id string, r *Result, err error) {
	h.mu.Lock()
	waiters := h.waiters[id]
	delete(h.waiters, id)
	h.mu.Unlock()
	for _, w := range waiters {
		w.deliver(id, r, err)
	}
	if len(waiters) > 0 {
		h.sub.Release(Channel(id))
	}
}

// read looks at the records of confirmed ids, and now and then at all.
func (h *hub) read(ctx context.Context) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-tick.C:
			h.mu.Lock()
			for id := range h.waiters {
				h.confirm = append(h.confirm, id)
			}
			h.mu.Unlock()
		}
		for {
			h.mu.Lock()
			n := min(len(h.confirm), readChunk)
			chunk := h.confirm[:n:n]
			h.confirm = h.confirm[n:]
			h.mu.Unlock()
			if n == 0 {
				break
			}
			if h.readRecords(ctx, chunk) != nil {
				h.mu.Lock()
				h.confirm = append(h.confirm, chunk...)
				h.mu.Unlock()
				time.AfterFunc(retryRead, h.poke)
				break
			}
		}
	}
}

func (h *hub) readRecords(ctx context.Context, ids []string) error {
	states := make([]*redis.StringCmd, len(ids))
	_, err := h.store.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			states[i] = p.HGet(ctx, Key(id), "status")
		}
		return nil
	})
	if err != nil && err != redis.Nil {
		return err
	}
	for i, state := range states {
		switch {
		case state.Err() == redis.Nil:
			h.deliver(ids[i], nil, ErrNotFound)
		case state.Err() != nil:
			return state.Err()
		case Status(state.Val()).Terminal():
			r, err := h.store.Get(ctx, ids[i])
			if err != nil {
				return err
			}
			h.deliver(ids[i], r, nil)
		}
	}
	return nil
}
