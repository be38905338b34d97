package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
)

// note bounds how long after the asked note a byte of the question may leave.
//
// A worker that takes the task over must know from when on no byte of a noted question can leave. The bound does not compare
// the clocks of two machines:
//
//  1. Worker A writes the asked note. The write succeeds only if A owns the task.
//  2. Each piece of the question leaves at most noteAge after the last such note, counted from before the note was written,
//     and coze.ConsentTime more: both by A's clock alone. If a large question on a slow line needs longer, A writes the note
//     again.
//  3. Worker B begins: A's notes fail from now on. So A's last note is older than B's Begin, and A's last byte leaves within
//     noteAge + ConsentTime of it.
//  4. B looks for the question until lookAfter = noteAge + ConsentTime + 3 s after its Begin, by B's clock alone, and for
//     findFor after the note: see attempt.lookUntil. The 3 s are for the way to Coze, and for a Coze that lists late.
//  5. If B dies before that, C need not start over: the record says since when A is fenced, by Redis' clock
//     (record.Attempt.FencedFor). Workers that crash again and again after less than lookAfter still get through.
//
// "By A's clock" fails if a machine stands still together with its clocks, as a paused virtual machine may. A then wakes
// between 2 and the write of the bytes, and does not know it. Bytes that wait in a socket's buffer are the same: they are the
// kernel's. These few microseconds are left, and A finds out when it notes the chat: see attempt.disown.
type note struct {
	again func() (time.Time, error) // writes it again

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

// close waits for a note that is being written, and lets no other be written.
func (n *note) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = errNoteOver
	}
}

// permitToAsk writes the asked note and takes a permit, in one round trip. If it has to wait for the permit, the note is
// written again when the question is sent: see note.
func (a *attempt) permitToAsk(ctx context.Context, conversation string) error {
	draw, await := a.calls.permitToAsk()
	err := a.noteAsked(ctx, conversation, func(p redis.Cmdable) {
		draw(ctx, p)
		a.announce(ctx, p) // that it runs, which was written before
	})
	if err != nil {
		return err
	}
	began := a.noted
	err = await(ctx)
	a.spans.Permit(began, permitGiven(err), err)
	if err != nil {
		a.clearAsked(ctx, conversation)
		return err
	}
	a.cfg.Metrics.Permitted(time.Since(began))
	return nil
}

// announce tells those who watch the answer that the record's status has changed.
func (a *attempt) announce(ctx context.Context, c redis.Cmdable) {
	if a.chat != nil && a.chat.Stream {
		_ = record.Announce(ctx, c, a.id) // they read the record now and then anyway
	}
}

// noteAsked notes that the question is about to be sent, first in the journal: if the record alone said so, only a process
// that still has the record would believe it.
func (a *attempt) noteAsked(ctx context.Context, conversation string, along ...func(redis.Cmdable)) error {
	if err := a.progress(ctx, conversation, "", time.Now()); err != nil {
		return err
	}
	a.noted = time.Now()
	return a.rec.Asking(ctx, conversation, along...)
}

// clearAsked takes the asked note back: Coze has not taken the question, and it need not be looked for.
func (a *attempt) clearAsked(ctx context.Context, conversation string) {
	a.rec.AskedAt = time.Time{}
	if err := a.progress(ctx, conversation, "", time.Time{}); err != nil {
		a.log.Warn("could not note that Coze refused the question: the next attempt searches for it", "err", err)
	}
}

// progress calls Config.OnProgress.
func (a *attempt) progress(ctx context.Context, conversation, chat string, asked time.Time) error {
	return a.tell(ctx, Progress{
		ID:              a.id,
		BotID:           a.chat.BotID,
		ConversationKey: a.chat.ConversationKey,
		ConversationID:  conversation,
		ChatID:          chat,
		AskedAt:         asked,
	})
}

func (a *attempt) tell(ctx context.Context, p Progress) error {
	if a.cfg.OnProgress == nil {
		return nil
	}
	return a.cfg.OnProgress(ctx, p)
}

// note returns the note that permitToAsk has written.
func (a *attempt) note(ctx context.Context, conversation string) *note {
	return &note{at: a.noted, again: func() (time.Time, error) {
		err := a.noteAsked(ctx, conversation)
		if err == nil && a.rec.CancelRequested {
			err = errCanceled
		}
		return a.noted, err
	}}
}

// elapsed is the time since a moment by the clock that has run further. Go's monotonic clock stands still while a machine is
// suspended, and the wall clock may be set back.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}
