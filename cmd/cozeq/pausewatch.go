package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/worker"
)

const (
	// pauseEvery is how often a command looks for pauses.
	pauseEvery = time.Second

	// feedTime is how long all questions of a run must have stepped aside before
	// nothing is taken to be left to do: others may be on their way into the queue.
	feedTime = 3 * time.Second
)

// pauseWatch sees whether pauses keep all of a command's questions from being asked,
// and stops the command when its patience with them is over.
type pauseWatch struct {
	rdb      redis.UniversalClient
	queue    string
	flights  func() []progress.Flight // questions that are in the queue or being asked
	done     func() int               // how many have ended
	settle   time.Duration            // the least patience where each stepped aside
	patience patiences
	stop     context.CancelCauseFunc
	again    string    // how to go on after it
	say      io.Writer // when a wait begins and ends
	onLimits func([]worker.Limit)

	nudged chan struct{} // capacity 1: look now

	mu     sync.Mutex
	seen   sight
	wait   wait
	learnt []worker.Limit
}

// wait is for the end of pauses; its zero value is none.
type wait struct {
	pauses []worker.Pause
	since  time.Time // seen by this command
	done   int       // by then
	said   bool
}

func newPauseWatch(s *session, queue string, p patiences, stop context.CancelCauseFunc) *pauseWatch {
	return &pauseWatch{
		rdb: s.rdb, queue: queue, patience: p, stop: stop,
		done:   func() int { return 0 },
		nudged: make(chan struct{}, 1),
	}
}

// start looks every second, and at once when told to, until stop.
func (w *pauseWatch) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(pauseEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-w.nudged:
			}
			// A Redis that does not answer tells nothing.
			if seen, err := w.look(ctx); err == nil {
				w.consider(seen)
			}
			w.learn(ctx)
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// learn reads the limits of the credentials that are served.
func (w *pauseWatch) learn(ctx context.Context) {
	all, err := worker.Limits(ctx, w.rdb)
	if err != nil {
		return
	}
	all = slices.DeleteFunc(all, func(l worker.Limit) bool { return !l.Served || l.Rate == 0 })
	if w.onLimits != nil {
		w.onLimits(all)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.learnt = all
}

// limits are what was learnt at the last look.
func (w *pauseWatch) limits() []worker.Limit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.learnt
}

// verdict is a worker.Config.OnVerdict: a question that steps aside tells of a pause
// sooner than the next look. A token that cannot be had is told by nothing else.
func (w *pauseWatch) verdict(id string, v worker.Verdict) {
	switch {
	case isNoToken(v.Err):
		ours := slices.ContainsFunc(w.flights(), func(f progress.Flight) bool { return f.ID == id })
		if ours && w.patience.other == 0 {
			w.stop(&stoppedError{class: coze.ClassAuth, err: v.Err, again: w.again})
		}
	case v.Aside != "" && !w.knows():
		select {
		case w.nudged <- struct{}{}:
		default:
		}
	}
}

// isNoToken tells that the token could not be had, not that Coze refused it.
func isNoToken(err error) bool {
	e, ok := errors.AsType[*coze.Error](err)
	return ok && e.Class == coze.ClassAuth && e.Op == "identity"
}

func (w *pauseWatch) knows() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen.held) > 0
}

// consider draws from a look what follows.
func (w *pauseWatch) consider(seen sight) {
	done := w.done()
	w.mu.Lock()
	before, now := w.wait, w.wait.next(seen, done)
	limit := w.patience.of(now.pauses)
	enough := limit
	if !seen.whole {
		enough = max(limit, w.settle)
	}
	over := seen.all && time.Since(now.since) >= enough
	begins := seen.all && !over && limit > 0 && !now.said
	now.said = now.said || begins
	w.seen, w.wait = seen, now
	w.mu.Unlock()
	switch {
	case over:
		w.stop(stoppedBy(now.pauses, time.Since(now.since), w.again))
	case begins:
		fmt.Fprintf(w.say, "cozeq: paused, waiting %s: %s\n", upTo(limit), reasons(now.pauses))
	case before.said && !now.said:
		fmt.Fprintln(w.say, "cozeq: the pause is over, going on")
	}
}

// next is the wait after a look. It goes on while a probe is under way, for which
// one question is not aside, but begins anew when questions were answered beside
// those that are aside. While questions are answered although the queue is paused for
// the way to Coze, another worker has a way there: then patience counts from the last.
func (w wait) next(seen sight, done int) wait {
	flowed := !seen.whole && w.done != done
	switch {
	case seen.all && (len(w.pauses) == 0 || flowed):
		return wait{pauses: seen.held, since: time.Now(), done: done}
	case seen.all:
		since := w.since
		if w.done != done && !slices.ContainsFunc(seen.held, func(p worker.Pause) bool { return !p.OfWay() }) {
			since = time.Now()
		}
		return wait{pauses: seen.held, since: since, done: done, said: w.said}
	case !flowed && len(w.pauses) > 0 && !slices.ContainsFunc(w.pauses, seen.ended):
		return w
	}
	return wait{}
}
