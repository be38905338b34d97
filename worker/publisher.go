package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/record"
)

// gatherFor is the least time between two round trips of a publisher: what falls due meanwhile goes together. One round trip
// for each piece is most of what a stream costs a worker and Redis (BenchmarkServeStream).
const gatherFor = 20 * time.Millisecond

// publisher publishes the pieces of all answers of a process, those that are due in one round trip.
type publisher struct {
	ctx     context.Context
	records *record.Store

	mu      sync.Mutex
	waiting []due
	timer   *time.Timer
	next    time.Time // when the timer runs; zero: it does not
	last    time.Time // the last round trip began
}

type due struct {
	*deltaWriter
	at time.Time
}

// add has a writer's text published at that time, or within gatherFor after it.
func (p *publisher) add(d *deltaWriter, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, due{d, at})
	p.runAt(at)
}

func (p *publisher) remove(d *deltaWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(w due) bool { return w.deltaWriter == d })
}

// runAt has the timer run at that time at the latest. It is called with the lock held.
func (p *publisher) runAt(at time.Time) {
	if soonest := p.last.Add(gatherFor); at.Before(soonest) {
		at = soonest
	}
	if !p.next.IsZero() && !at.Before(p.next) {
		return
	}
	p.next = at
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(at), p.run)
	} else {
		p.timer.Reset(time.Until(at))
	}
}

// run publishes what is due. Where Redis is slow two of them may run at a time, each with other writers.
func (p *publisher) run() {
	writers := p.ready()
	all := make([]record.Publication, 0, len(writers))
	writers = slices.DeleteFunc(writers, func(d *deltaWriter) bool {
		if !d.publish.TryLock() {
			d.postpone() // its last piece is still on the way
			return true
		}
		piece, ok := d.take()
		if !ok {
			d.publish.Unlock()
			return true
		}
		all = append(all, record.Publication{Attempt: d.rec, Delta: piece})
		return false
	})
	if len(all) == 0 {
		return
	}
	for i, err := range p.records.Publish(p.ctx, all) {
		writers[i].goOn(writers[i].taken(err))
		writers[i].publish.Unlock()
	}
}

// ready takes the writers that are due.
func (p *publisher) ready() (writers []*deltaWriter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.last, p.next = now, time.Time{}
	var first time.Time
	p.waiting = slices.DeleteFunc(p.waiting, func(w due) bool {
		if !w.at.After(now) {
			writers = append(writers, w.deltaWriter)
			return true
		}
		if first.IsZero() || w.at.Before(first) {
			first = w.at
		}
		return false
	})
	if !first.IsZero() {
		p.runAt(first)
	}
	return writers
}
