package watch

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/subscription"
	"github.com/cozeq/cozeq/results"
)

// readsAtOnce bounds how many connections the watchers of a process use, also when all of them read because a connection
// broke.
const readsAtOnce = 4

// Hub is what all watchers of a process share. It is safe for concurrent use.
type Hub struct {
	store   *results.Store
	records *record.Store
	reads   chan struct{} // capacity readsAtOnce

	mu     sync.Mutex
	sub    *subscription.Subscription // from the first watcher on that has to wait
	topics map[string]*topic          // by id
	ended  chan struct{}              // closed by Close
	closed bool
}

// topic is a task that is watched.
type topic struct {
	watchers  []*watcher
	confirmed channels // of the newest connection, so far
	stands    bool     // all were confirmed, for the newest connection or an earlier one
}

type channels uint8

const (
	onDone channels = 1 << iota
	onDeltas
	onBoth = onDone | onDeltas
)

func New(store *results.Store) *Hub {
	return &Hub{
		store:   store,
		records: record.New(store),
		reads:   make(chan struct{}, readsAtOnce),
		topics:  make(map[string]*topic),
		ended:   make(chan struct{}),
	}
}

// Close ends the subscription. Those still watching get results.ErrClosed.
func (h *Hub) Close() error {
	h.mu.Lock()
	sub, was := h.sub, h.closed
	h.sub, h.closed = nil, true
	h.mu.Unlock()
	if !was {
		close(h.ended)
	}
	if sub == nil {
		return nil
	}
	return sub.Close()
}

// Watch yields what happens to a task, from the event behind the one with the id after on; all that is kept if that is
// empty. An End is the last event.
//
// An error ends the sequence: results.ErrNotFound for a task without a record, *IDError for an id that no event has,
// ErrEnded for the id of the end, *results.SealedError for a text that cannot be decrypted, results.ErrClosed, the cause of
// the context's end. A Redis that is away is an error before the first event only; later it is waited for.
func (h *Hub) Watch(ctx context.Context, id, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watcher{hub: h, id: id, wake: make(chan struct{}, 1)}
		if after != "" {
			var err error
			if w.at, err = record.ParseEntryID(after); err != nil {
				yield(Event{}, &IDError{after})
				return
			}
			w.resumed = w.at
		}
		err := w.run(ctx, func(e Event) bool { return yield(e, nil) })
		switch {
		case errors.Is(err, errStopped):
			return
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		}
		yield(Event{}, err)
	}
}

// Watchers is how many watches wait for their task to end.
func (h *Hub) Watchers() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.topics {
		n += len(t.watchers)
	}
	return n
}

func (h *Hub) join(ctx context.Context, w *watcher) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return results.ErrClosed
	}
	if h.sub == nil {
		h.sub = subscription.New(h.store.Redis(), h)
	}
	sub := h.sub
	h.mu.Unlock()
	err := sub.Subscribe(ctx, func() []string {
		h.mu.Lock()
		defer h.mu.Unlock()
		t := h.topics[w.id]
		if t == nil {
			h.topics[w.id] = &topic{watchers: []*watcher{w}}
			return names(w.id)
		}
		t.watchers = append(t.watchers, w)
		if t.stands {
			w.look() // what was published since its first look has gone by
		}
		return nil
	})
	if err != nil {
		h.leave(w)
	}
	if errors.Is(err, redis.ErrClosed) {
		return results.ErrClosed
	}
	return err
}

// leave takes a watcher out again. It does not wait for Redis.
func (h *Hub) leave(w *watcher) {
	h.mu.Lock()
	t, sub := h.topics[w.id], h.sub
	if t == nil {
		h.mu.Unlock()
		return
	}
	t.watchers = slices.DeleteFunc(t.watchers, func(other *watcher) bool { return other == w })
	last := len(t.watchers) == 0
	if last {
		delete(h.topics, w.id)
	}
	h.mu.Unlock()
	if last && sub != nil {
		sub.Release(names(w.id)...)
	}
}

func names(id string) []string { return []string{results.Channel(id), results.DeltasKey(id)} }

// topicOf is the task that a channel belongs to, nil if nobody watches it. It is called with the lock held.
func (h *Hub) topicOf(channel string) (id string, t *topic, kind channels) {
	kind = onDone
	id, ok := strings.CutPrefix(channel, results.Channel(""))
	if !ok {
		kind = onDeltas
		around := results.DeltasKey("")
		id = strings.TrimSuffix(strings.TrimPrefix(channel, around[:len(around)-1]), around[len(around)-1:])
	}
	return id, h.topics[id], kind
}

// Wanted implements subscription.Listener.
func (h *Hub) Wanted(channel string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, t, _ := h.topicOf(channel)
	return t != nil
}

// Stands implements subscription.Listener.
func (h *Hub) Stands(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, t, kind := h.topicOf(channel)
	if t == nil {
		return
	}
	if t.confirmed |= kind; t.confirmed == onBoth {
		t.confirmed, t.stands = 0, true
		t.look()
	}
}

// Heard implements subscription.Listener.
func (h *Hub) Heard(channel, message string) {
	h.mu.Lock()
	id, t, kind := h.topicOf(channel)
	h.mu.Unlock()
	if t == nil {
		return
	}
	var m record.Message
	var e Event
	ok := false
	if kind == onDeltas {
		m, e, ok = h.parse(id, message)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t = h.topics[id]; t == nil {
		return
	}
	if !ok { // the record has changed, or somebody else wrote: what is in Redis decides
		t.look()
		return
	}
	for _, w := range t.watchers {
		w.offer(m.ID, m.Before, e)
	}
}

func (h *Hub) parse(id, message string) (record.Message, Event, bool) {
	m, err := h.records.ParseMessage(id, message)
	if err != nil || m.Status() {
		return m, Event{}, false
	}
	e := Event{Type: Type(m.Type), ID: m.ID.String(), Text: m.Text}
	if m.Type == record.DeltaEnd {
		e.Text = ""
		e.Result, err = results.Decode(id, []byte(m.Text), h.store.Keys)
		if err != nil || !e.Result.Status.Terminal() {
			return m, Event{}, false
		}
	}
	return m, e, true
}

func (t *topic) look() {
	for _, w := range t.watchers {
		w.look()
	}
}
