package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// note keeps a question's bytes within reach of the note that they are about to be sent.
//
// Whoever takes the task over must be able to tell when a question that was noted can
// leave no more. So the bytes have a bound, and it does not compare the clocks of two
// machines:
//
//  1. Worker A notes the moment of asking. The write succeeds only if A owns the task.
//  2. Each piece of the question leaves at most noteAge after the last such note, counted
//     from before the note was written, and coze.ConsentTime more: both by A's clock alone.
//     For longer, as a large question on a slow line may need, A notes it again.
//  3. Worker B begins: A's notes fail from now on. So A's last note is older than B's
//     Begin, and A's last byte leaves within noteAge + ConsentTime = sendFor of it.
//  4. B looks for the question until lookAfter = sendFor + 3 s after its Begin, by B's
//     clock alone, and for findFor after the note: see attempt.lookUntil. The 3 s are for
//     the way to Coze, and for a Coze that is slow to list what it took.
//  5. If B dies before that, C need not begin anew: the record says since when A is
//     fenced, by Redis' clock (results.Attempt.FencedFor). Workers that crash again and
//     again after less than lookAfter still get through.
//
// "Counted by A's clock" is what fails where a machine stands still together with its
// clocks, as a virtual machine may that is paused: A then wakes between 2 and the write
// of the bytes and knows nothing of it. Bytes that wait in a socket's buffer are the same:
// they are the kernel's. These few microseconds are left, and A finds out when it notes
// the chat: see attempt.disown.
type note struct {
	again func() (time.Time, error) // notes it again

	mu  sync.Mutex
	at  time.Time // of the last one
	err error     // why there will be no more
}

const (
	noteAge   = time.Second
	noteTries = 3
)

var (
	errNoteOver = errors.New("the question is not being asked any more")
	errNoteSlow = errors.New("noting that the question is about to be sent takes Redis too long: it was not sent")
)

// leave is coze.ChatRequest.BeforeSend.
func (n *note) leave() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range noteTries {
		if n.err != nil {
			return n.err
		}
		if elapsed(n.at) < noteAge {
			return nil
		}
		n.at, n.err = n.again()
	}
	if n.err == nil && elapsed(n.at) >= noteAge {
		n.err = errNoteSlow
	}
	return n.err
}

// close waits for a note that is being written, and lets no more be.
func (n *note) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = errNoteOver
	}
}

// asking notes that the question is about to be sent and takes a permit for it, in one
// round trip. Where it had to wait for the permit it is noted again when it is sent: see
// note.
func (a *attempt) asking(ctx context.Context, conversation string) error {
	// The journal first: a record that says "asked" without a journal that does
	// would be believed only by a process that still has the record.
	if err := a.progress(ctx, conversation, "", time.Now()); err != nil {
		return err
	}
	began := time.Now()
	a.noted = began
	draw, await := a.calls.permitToAsk()
	if err := a.rec.Asking(ctx, conversation, func(p redis.Cmdable) { draw(ctx, p) }); err != nil {
		return err
	}
	err := await(ctx)
	a.spans.Permit(began, permitGiven(err), err)
	if err != nil {
		a.clearAsked(ctx, conversation)
		return err
	}
	a.cfg.Metrics.Permitted(time.Since(began))
	return nil
}

// permitGiven names what became of a wait for a permit. A permit that is far away, and a pause, are no failures.
func permitGiven(err error) string {
	if err == nil {
		return "given"
	}
	if _, ok := errors.AsType[*farError](err); ok {
		return "far"
	}
	if _, ok := errors.AsType[*pausedError](err); ok {
		return "paused"
	}
	return "error"
}

// clearAsked takes back that the question is about to be sent, or was: Coze has not
// taken it, and nobody need look for it.
func (a *attempt) clearAsked(ctx context.Context, conversation string) {
	a.rec.AskedAt = time.Time{}
	if err := a.progress(ctx, conversation, "", time.Time{}); err != nil {
		a.log.Warn("could not note in the journal that a question was not taken: it will be looked for", "err", err)
	}
}

// note is that of the question that asking has noted.
func (a *attempt) note(ctx context.Context, conversation string) *note {
	return &note{at: a.noted, again: func() (time.Time, error) {
		err := a.askingAgain(ctx, conversation)
		if err == nil && a.rec.CancelRequested {
			err = errCanceled
		}
		return a.noted, err
	}}
}

// askingAgain notes anew that the question is about to be sent.
func (a *attempt) askingAgain(ctx context.Context, conversation string) error {
	if err := a.progress(ctx, conversation, "", time.Now()); err != nil {
		return err
	}
	a.noted = time.Now()
	return a.rec.Asking(ctx, conversation)
}

// elapsed is the time since a moment by the clock that has run further. Go's monotonic
// clock stands still while a machine is suspended, and the wall clock may be set back.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// progress tells Config.OnProgress.
func (a *attempt) progress(ctx context.Context, conversation, chat string, asked time.Time) error {
	if a.cfg.OnProgress == nil {
		return nil
	}
	return a.cfg.OnProgress(ctx, Progress{
		ID:              a.id,
		BotID:           a.chat.BotID,
		ConversationKey: a.chat.ConversationKey,
		ConversationID:  conversation,
		ChatID:          chat,
		AskedAt:         asked,
	})
}
