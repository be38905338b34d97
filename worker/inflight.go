package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/queue"
)

// inFlight are the attempts that run in this process. The zero value has none.
type inFlight struct {
	mu       sync.Mutex
	attempts map[*attempt]struct{}
}

func (f *inFlight) all() []*attempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.attempts))
}

// has reports whether an attempt at this task runs here.
func (f *inFlight) has(id string) bool {
	return slices.ContainsFunc(f.all(), func(a *attempt) bool { return a.id == id })
}

// stop ends the attempts at this task.
func (f *inFlight) stop(id string, cause error) {
	for _, a := range f.all() {
		if a.id == id {
			a.hold.stop(cause)
		}
	}
}

// begin returns the context that an attempt works under, until release.
//
// It is not asynq's context: that one ends when a lease is lost, and while Redis is away for 30 s every lease is. The chat is
// paid for by then. So the attempt reads on and stores its answer when Redis is back, unless another attempt has begun.
func (f *inFlight) begin(asynqCtx context.Context, a *attempt) (ctx context.Context, release func()) {
	base := context.WithoutCancel(asynqCtx)
	cancelDeadline := func() {}
	if deadline, ok := asynqCtx.Deadline(); ok {
		base, cancelDeadline = context.WithDeadlineCause(base, ownDeadline(deadline), errDeadline)
	}
	ctx, a.hold.stop = context.WithCancelCause(base)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attempts == nil {
		f.attempts = make(map[*attempt]struct{})
	}
	f.attempts[a] = struct{}{}
	return ctx, func() {
		a.hold.stop(nil)
		cancelDeadline()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.attempts, a)
	}
}

// ownDeadline is when an attempt ends by itself, before asynq gives its handler up. tasks.Client adds queue.Grace for that.
// If another producer allowed less, a tenth of it is kept back.
func ownDeadline(asynqs time.Time) time.Time {
	if left := time.Until(asynqs); left < queue.Grace {
		return asynqs.Add(-left / 10)
	}
	return asynqs.Add(-queue.Grace)
}
