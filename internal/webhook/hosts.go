package webhook

import (
	"sync"
	"time"
)

// hosts bound what goes to one receiver at a time, so that a slow one does not take all slots. An event that finds its
// receiver busy goes back into the queue, to a moment of its own: each is given the next free one, at the pace at which
// the receiver has answered lately. So a crowd of events for one slow receiver is put back about once each, and not all at
// each look.
type hosts struct {
	perHost int

	mu   sync.Mutex
	of   map[string]*host
	seen int // calls since the last clean-up
}

type host struct {
	inFlight int
	took     time.Duration // of a delivery, smoothed
	next     time.Time     // the moment for the next event that is put back
	shut     time.Time     // until then the receiver wants nothing
}

const (
	mostPutBack  = 10 * time.Minute
	leastPutBack = time.Second
	cleanEvery   = 1000
	throttleFor  = 30 * time.Second // where the receiver does not say for how long
)

func newHosts(perHost int) *hosts { return &hosts{perHost: perHost, of: make(map[string]*host)} }

// enter takes a slot of a receiver. ok is false if there is none: then after says when to come back.
func (h *hosts) enter(name string, now time.Time) (after time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clean(now)
	one := h.of[name]
	if one == nil {
		one = &host{took: leastPutBack}
		h.of[name] = one
	}
	if one.inFlight < h.perHost && !now.Before(one.shut) {
		one.inFlight++
		return 0, true
	}
	earliest := now.Add(leastPutBack)
	if one.shut.After(earliest) {
		earliest = one.shut
	}
	if one.next.Before(earliest) {
		one.next = earliest
	}
	one.next = one.next.Add(one.took / time.Duration(h.perHost))
	if latest := earliest.Add(mostPutBack); one.next.After(latest) {
		one.next = latest
	}
	return one.next.Sub(now), false
}

// leave gives a slot back, with what the receiver asks for: nothing more before some time.
func (h *hosts) leave(name string, took time.Duration, a attempt, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.of[name]
	one.inFlight--
	one.took += (took - one.took) / 8
	if !a.throttled {
		return
	}
	wait := a.retryAfter
	if wait == 0 {
		wait = throttleFor
	}
	if until := now.Add(min(wait, mostPutBack)); until.After(one.shut) {
		one.shut = until
	}
}

// clean forgets receivers that nothing is known of any more.
func (h *hosts) clean(now time.Time) {
	if h.seen++; h.seen < cleanEvery {
		return
	}
	h.seen = 0
	for name, one := range h.of {
		if one.inFlight == 0 && now.After(one.shut) && now.After(one.next.Add(mostPutBack)) {
			delete(h.of, name)
		}
	}
}
