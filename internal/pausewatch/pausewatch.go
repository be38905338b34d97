// Package pausewatch watches whether pauses (open circuit breakers of the workers) keep all of a command's questions from
// being asked, says so, and stops the command when it has waited for as long as --patience allows.
package pausewatch

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
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/progress"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/worker"
)

const (
	// Every is how often a command looks for pauses.
	Every = time.Second

	// FeedTime is how long all questions of a run must be parked before the run counts as stopped: more questions may
	// be on their way into the queue.
	FeedTime = 3 * time.Second
)

// Watch looks whether pauses keep all of a command's questions from being asked, and stops the command after Patience.
type Watch struct {
	rdb      redis.UniversalClient
	queue    string
	OpenRows func() []progress.OpenRow // questions that are in the queue or being asked
	Done     func() int                // how many have ended
	Settle   time.Duration             // the least patience if all questions are parked
	Patience Timeouts
	stop     context.CancelCauseFunc
	Again    string    // how to resume after that
	Say      io.Writer // when a wait begins and ends
	OnLimits func([]worker.Limit)

	nudged chan struct{} // capacity 1: look now

	mu     sync.Mutex
	Seen   Snapshot
	Wait   Wait
	learnt []worker.Limit
}

// Wait is for the end of pauses; its zero value is none.
type Wait struct {
	Pauses []worker.Pause
	since  time.Time // seen by this command
	done   int       // by then
	said   bool
}

func New(s *session.Session, queue string, p Timeouts, stop context.CancelCauseFunc) *Watch {
	return &Watch{
		rdb: s.Redis, queue: queue, Patience: p, stop: stop,
		Done:   func() int { return 0 },
		nudged: make(chan struct{}, 1),
	}
}

// Start looks every second, and at once after a verdict of a pause, until stop.
func (w *Watch) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(Every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-w.nudged:
			}
			// Without an answer from Redis nothing is known.
			if seen, err := w.Look(ctx); err == nil {
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

func (w *Watch) learn(ctx context.Context) {
	all, err := worker.Limits(ctx, w.rdb)
	if err != nil {
		return
	}
	all = slices.DeleteFunc(all, func(l worker.Limit) bool { return !l.Served || l.Rate == 0 })
	if w.OnLimits != nil {
		w.OnLimits(all)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.learnt = all
}

func (w *Watch) Limits() []worker.Limit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.learnt
}

// Verdict is a worker.Config.OnVerdict. A parked question shows a pause before the next look does. A token that cannot be
// fetched shows nowhere else.
func (w *Watch) Verdict(id string, v worker.Verdict) {
	switch {
	case isNoToken(v.Err):
		ours := slices.ContainsFunc(w.OpenRows(), func(f progress.OpenRow) bool { return f.ID == id })
		if ours && w.Patience.Other == 0 {
			w.stop(&exitcode.StoppedError{Class: coze.ClassAuth, Err: v.Err, Again: w.Again})
		}
	case v.Parked != "" && !w.knows():
		select {
		case w.nudged <- struct{}{}:
		default:
		}
	}
}

// isNoToken reports whether the token could not be fetched; Coze has not refused it.
func isNoToken(err error) bool {
	e, ok := errors.AsType[*coze.Error](err)
	return ok && e.Class == coze.ClassAuth && e.Op == "identity"
}

func (w *Watch) knows() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.Seen.Held) > 0
}

// consider acts on a look: it says that a wait begins or ends, or stops the command.
func (w *Watch) consider(seen Snapshot) {
	done := w.Done()
	w.mu.Lock()
	before, now := w.Wait, w.Wait.next(seen, done)
	limit := w.Patience.of(now.Pauses)
	enough := limit
	if !seen.whole {
		enough = max(limit, w.Settle)
	}
	over := seen.all && time.Since(now.since) >= enough
	begins := seen.all && !over && limit > 0 && !now.said
	now.said = now.said || begins
	w.Seen, w.Wait = seen, now
	w.mu.Unlock()
	switch {
	case over:
		w.stop(stoppedBy(now.Pauses, time.Since(now.since), w.Again))
	case begins:
		fmt.Fprintf(w.Say, "cozeq: paused, waiting %s: %s\n", upTo(limit), reasons(now.Pauses))
	case before.said && !now.said:
		fmt.Fprintln(w.Say, "cozeq: the pause is over")
	}
}

// next is the wait after a look. A wait lasts while a probe is out, although one question is not parked then. It starts
// again when other questions were answered meanwhile. If questions are answered although the queue is paused because Coze
// is unreachable, another worker reaches it: patience counts from the last answer.
func (w Wait) next(seen Snapshot, done int) Wait {
	flowed := !seen.whole && w.done != done
	switch {
	case seen.all && (len(w.Pauses) == 0 || flowed):
		return Wait{Pauses: seen.Held, since: time.Now(), done: done}
	case seen.all:
		since := w.since
		if w.done != done && !slices.ContainsFunc(seen.Held, func(p worker.Pause) bool { return !p.Unreachable() }) {
			since = time.Now()
		}
		return Wait{Pauses: seen.Held, since: since, done: done, said: w.said}
	case !flowed && len(w.Pauses) > 0 && !slices.ContainsFunc(w.Pauses, seen.ended):
		return w
	}
	return Wait{}
}
