package ask

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/session"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/worker"
)

// reasonAfter is how long ask is silent about a question that waits.
const reasonAfter = 1500 * time.Millisecond

// waitReason says on stderr why a question waits, each reason once.
type waitReason struct {
	streams *terminal.Streams
	queue   string

	mu      sync.Mutex
	said    string
	kept    func() // says the reason of a wait that was too short to mention at once
	stopped bool   // the command gives up: no reason holds any more
}

func (w *waitReason) say(kind, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said != kind && !w.stopped {
		w.said = kind
		fmt.Fprintf(w.streams.Err, "cozeq: waiting: %s\n", terminal.Printable(fmt.Sprintf(format, args...)))
	}
}

// verdict is a worker.Config.OnVerdict: an attempt of this process has ended. A rate limit passes by itself in a
// moment, so a short wait for it is said only if it lasts.
func (w *waitReason) verdict(v worker.Verdict) {
	if v.Err == nil || v.Parked != "" || v.Action != worker.Later && v.Action != worker.Retry {
		return
	}
	when := "at once"
	if v.After > 0 {
		when = "in " + terminal.Rounded(v.After)
	}
	say := func() { w.say(string(v.Class), "%v; asked again %s", v.Err, when) }
	if v.Class == coze.ClassRate && v.After < reasonAfter {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.kept = say
		return
	}
	say()
}

func (w *waitReason) last() {
	w.mu.Lock()
	say := w.kept
	w.mu.Unlock()
	if say != nil {
		say()
	}
}

// start looks once, after a while, at how the question stands, until stop.
func (w *waitReason) start(ctx context.Context, s *session.Session, id string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		select {
		case <-ctx.Done():
		case <-time.After(reasonAfter):
			w.look(ctx, s, id)
		}
	})
	return func() {
		cancel()
		looking.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stopped = true
	}
}

func (w *waitReason) look(ctx context.Context, s *session.Session, id string) {
	r, err := s.Results.Get(ctx, id)
	if err != nil {
		return
	}
	if r.Status == results.Running {
		w.say("running", "asked, Coze has not answered yet")
		return
	}
	if s.Worker != nil {
		w.last()
		return
	}
	switch r.Status {
	case results.Queued:
		if p, paused, err := worker.PausedQueue(ctx, s.Redis, w.queue); err == nil && paused && len(p.Others) == 0 {
			w.say("paused", "queue %s is paused: 'cozeq queues' says why", w.queue)
			return
		}
		w.say("queued", "other questions of queue %s come first", w.queue)
	case results.Waiting:
		w.say("waiting", "for its turn, a rate limit, or to be asked again after a fault: 'cozeq queues' says more")
	}
}
