package results

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// subscribeChunk is how many channels one SUBSCRIBE names, and how many records
// one pipeline reads.
const subscribeChunk = 500

// recheck is how often the records of all tasks that are waited for are read
// although nothing was heard: pub/sub promises no delivery, and a message lost
// without a broken connection leaves no other trace.
const recheck = 30 * time.Second

// retryRead is when records are read again that could not be: a Redis that loads
// its file takes subscriptions before it answers.
const retryRead = time.Second

// hub is the one subscription of a Store.
//
// The lost wake-up: a task may end after its waiter looked and before the
// subscription stands. So the record is read after Redis has confirmed the
// subscription, never before; from then on the end is either in the record or
// on the channel (they are written in one step). go-redis subscribes again when
// a connection drops and the new confirmation leads to a new read: one rule for
// the first connection and for every later one.
type hub struct {
	store  *Store
	sub    *redis.PubSub
	cancel context.CancelFunc
	done   sync.WaitGroup
	closed chan struct{} // closed when nothing more will come

	// order is held (capacity 1) from the look at waiters to the change of the
	// subscription that follows from it. Otherwise the UNSUBSCRIBE of the last
	// waiter could overtake the SUBSCRIBE of the next one. Taken before mu.
	order chan struct{}

	mu      sync.Mutex
	waiters map[string][]*Waiter // by id
	confirm []string             // ids to read, their subscription is confirmed
	gone    []string             // ids to unsubscribe, if nobody waits for them by then
	wake    chan struct{}        // capacity 1: confirm or gone has grown
}

func newHub(s *Store) *hub {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hub{
		store:   s,
		sub:     s.rdb.Subscribe(ctx),
		cancel:  cancel,
		closed:  make(chan struct{}),
		order:   make(chan struct{}, 1),
		waiters: make(map[string][]*Waiter),
		wake:    make(chan struct{}, 1),
	}
	messages := h.sub.ChannelWithSubscriptions(redis.WithChannelSize(1000))
	h.done.Go(func() { h.receive(messages) })
	h.done.Go(func() { h.read(ctx) })
	return h
}

func (h *hub) close() error {
	h.cancel()
	close(h.closed)
	err := h.sub.Close()
	h.done.Wait()
	return err
}

func (h *hub) add(ctx context.Context, w *Waiter, ids []string) error {
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), subscribeChunk)]
		ids = ids[len(chunk):]
		if err := h.addChunk(ctx, w, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (h *hub) addChunk(ctx context.Context, w *Waiter, ids []string) error {
	select {
	case h.order <- struct{}{}:
		defer func() { <-h.order }()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.closed:
		return ErrClosed
	}
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
	if len(channels) == 0 {
		return nil
	}
	err := h.sub.Subscribe(ctx, channels...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, redis.ErrClosed):
		return ErrClosed
	}
	return fmt.Errorf("subscribe: %w", err)
}

// remove does not wait for Redis: it is called where a context has ended.
func (h *hub) remove(w *Waiter, ids []string) {
	h.mu.Lock()
	for _, id := range ids {
		h.waiters[id] = slices.DeleteFunc(h.waiters[id], func(other *Waiter) bool { return other == w })
		if len(h.waiters[id]) == 0 {
			delete(h.waiters, id)
			h.gone = append(h.gone, id)
		}
	}
	h.mu.Unlock()
	h.poke()
}

// unsubscribe may fail: the channels of ended tasks stay silent, and a dropped
// connection forgets them anyway.
func (h *hub) unsubscribe(ctx context.Context) {
	select {
	case h.order <- struct{}{}:
		defer func() { <-h.order }()
	case <-ctx.Done():
		return
	}
	var channels []string
	h.mu.Lock()
	for _, id := range h.gone {
		if len(h.waiters[id]) == 0 {
			channels = append(channels, Channel(id))
		}
	}
	h.gone = nil
	h.mu.Unlock()
	if len(channels) > 0 {
		_ = h.sub.Unsubscribe(ctx, channels...)
	}
}

func (h *hub) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *hub) receive(messages <-chan any) {
	for m := range messages {
		switch m := m.(type) {
		case *redis.Subscription:
			if m.Kind != "subscribe" {
				continue
			}
			h.mu.Lock()
			h.confirm = append(h.confirm, strings.TrimPrefix(m.Channel, channelPrefix))
			h.mu.Unlock()
			h.poke()
		case *redis.Message:
			id := strings.TrimPrefix(m.Channel, channelPrefix)
			r := new(Result)
			if err := json.Unmarshal([]byte(m.Payload), r); err != nil || !r.Status.Terminal() {
				// Somebody else's message on our channel: the record decides.
				h.mu.Lock()
				h.confirm = append(h.confirm, id)
				h.mu.Unlock()
				h.poke()
				continue
			}
			r.open(h.store.Keys, id)
			h.deliver(id, r, nil)
		}
	}
}

// deliver hands an end to all who wait for it.
func (h *hub) deliver(id string, r *Result, err error) {
	h.mu.Lock()
	waiters := h.waiters[id]
	delete(h.waiters, id)
	if len(waiters) > 0 {
		h.gone = append(h.gone, id)
	}
	h.mu.Unlock()
	for _, w := range waiters {
		w.deliver(id, r, err)
	}
	h.poke()
}

// read looks at the records of confirmed ids, and now and then at all, and ends
// the subscriptions that nobody needs.
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
		h.unsubscribe(ctx)
		for {
			h.mu.Lock()
			n := min(len(h.confirm), subscribeChunk)
			chunk := h.confirm[:n:n]
			h.confirm = h.confirm[n:]
			h.mu.Unlock()
			if n == 0 {
				break
			}
			if h.readChunk(ctx, chunk) != nil {
				h.mu.Lock()
				h.confirm = append(h.confirm, chunk...)
				h.mu.Unlock()
				time.AfterFunc(retryRead, h.poke)
				break
			}
		}
	}
}

func (h *hub) readChunk(ctx context.Context, ids []string) error {
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
