package worker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/record"
)

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
