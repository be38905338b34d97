package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/queue"
	"github.com/cozeq/cozeq/internal/record"
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

// hold is an attempt's grip on its task, as seen from outside the attempt: by a cancellation, by the beat, and when asynq
// gives the handler up.
type hold struct {
	stop    context.CancelCauseFunc          // ends the attempt's context with one of our causes
	rec     atomic.Pointer[record.Attempt]   // once the task is taken up
	chat    atomic.Pointer[record.GivenChat] // that this attempt has made or found, until it has ended
	sending atomic.Bool                      // a question is on its way, and no chat of it is known
}

// fenceCheck is how often an attempt that asynq has given up looks whether another one has begun.
const fenceCheck = 2 * time.Second

// watch runs once asynq has given the handler up, because its lease was lost or an operator pressed "cancel" in asynqmon. As
// soon as another attempt has begun, this one works in vain, and its stream is closed.
//
// A question that is on its way is not given up: its chat would run on, and no record would name it. The attempt then ends
// at the question's first event, see created.
func (h *hold) watch(ctx context.Context) {
	for backoff.Sleep(ctx, fenceCheck) == nil {
		if h.sending.Load() {
			continue
		}
		if owned, err := h.rec.Load().Owned(ctx); err == nil && !owned {
			h.stop(record.ErrFenced)
			return
		}
	}
}

// check ends the attempt if its task is not its own any more. forgot: Redis may have lost writes, so the attempt's chat is
// brought into the record again.
func (h *hold) check(ctx context.Context, records *record.Store, forgot bool) error {
	rec := h.rec.Load()
	if rec == nil {
		return nil // it has not begun
	}
	owned, err := rec.Owned(ctx)
	if err != nil {
		return err
	}
	if own := h.chat.Load(); own != nil && forgot {
		c := *own
		c.Lost, c.Runs = true, owned
		wanted, err := records.GiveOver(ctx, c)
		if err != nil {
			return err
		}
		owned = owned && wanted
	}
	if !owned && !h.sending.Load() {
		h.stop(record.ErrFenced)
	}
	return nil
}
