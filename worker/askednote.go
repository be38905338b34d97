package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/record"
)

// askedNote bounds how long after the asked note a byte of the question may leave.
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
//     findFor after the note: see lookup.until. The 3 s are for the way to Coze, and for a Coze that lists late.
//  5. If B dies before that, C need not start over: the record says since when A is fenced, by Redis' clock
//     (record.Attempt.FencedFor). Workers that crash again and again after less than lookAfter still get through.
//
// "By A's clock" fails if a machine stands still together with its clocks, as a paused virtual machine may. A then wakes
// between 2 and the write of the bytes, and does not know it. Bytes that wait in a socket's buffer are the same: they are the
// kernel's. These few microseconds are left, and A finds out when it notes the chat: see settlement.disown.
type askedNote struct {
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
func (n *askedNote) leave() error {
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
func (n *askedNote) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = errNoteOver
	}
}

// notes are what an attempt notes before it takes a step that costs money: in the journal, if there is one, and in the record.
type notes struct {
	*task
	names *conversation.Names
	at    time.Time // just before the last asked note was written
}

// asking notes that the question is about to be sent, first in the journal: if the record alone said so, only a process
// that still has the record would believe it.
func (n *notes) asking(ctx context.Context, conversation string, along ...func(redis.Cmdable)) error {
	if err := n.tell(ctx, Progress{ConversationID: conversation, AskedAt: time.Now()}); err != nil {
		return err
	}
	n.at = time.Now()
	return n.rec.Asking(ctx, conversation, along...)
}

// refused takes the asked note back: Coze has not taken the question, and it need not be looked for.
func (n *notes) refused(ctx context.Context, conversation string) {
	n.rec.AskedAt = time.Time{}
	if err := n.tell(ctx, Progress{ConversationID: conversation}); err != nil {
		n.log.Warn("could not note that Coze refused the question: the next attempt searches for it", "err", err)
	}
}

// tell calls Config.OnProgress.
func (n *notes) tell(ctx context.Context, p Progress) error {
	if n.cfg.OnProgress == nil {
		return nil
	}
	p.ID, p.BotID, p.ConversationKey = n.id, n.payload.BotID, n.payload.ConversationKey
	return n.cfg.OnProgress(ctx, p)
}

// consent returns the note that permitToAsk has written.
func (n *notes) consent(ctx context.Context, conversation string) *askedNote {
	return &askedNote{at: n.at, again: func() (time.Time, error) {
		err := n.asking(ctx, conversation)
		if err == nil && n.rec.CancelRequested {
			err = errCanceled
		}
		return n.at, err
	}}
}

// elapsed is the time since a moment by the clock that has run further. Go's monotonic clock stands still while a machine is
// suspended, and the wall clock may be set back.
func elapsed(since time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// created notes the chat before its answer is read. If Redis cannot take the note now, the answer is read all the same: it is
// on its way and paid for. Only a newer attempt's hold on the task ends this one.
func (n *notes) created(ctx context.Context, chat *coze.Chat, logID string) error {
	n.rec.LogID = logID
	r := &n.rec.Result
	r.Answer, r.ContentType, r.Parts, r.Reasoning, r.FollowUps, r.DebugURL = "", "", nil, "", nil, "" // an earlier chat's
	asked := r.ConversationID
	conversation := cmp.Or(chat.ConversationID, asked)
	if err := n.tell(ctx, Progress{ConversationID: conversation, ChatID: chat.ID}); err != nil {
		n.log.Warn("could not note the chat in the journal, reading on", "chat", chat.ID, "err", err)
	}
	own := record.GivenChat{TaskID: n.id, ConversationID: conversation, ChatID: chat.ID, AskedAt: n.rec.AskedAt, Runs: true}
	n.hold.chat.Store(&own)
	err := n.rec.Created(ctx, conversation, chat.ID)
	if err == nil {
		noted := own
		noted.Noted = true
		n.hold.chat.Store(&noted)
	}
	n.hold.sending.Store(false)
	if err != nil && !errors.Is(err, record.ErrFenced) {
		n.log.Warn("could not note the chat, reading on", "chat", chat.ID, "err", err)
		err = nil
	}
	if key := n.payload.ConversationKey; err == nil && key != "" && conversation != asked {
		if err := n.names.Move(ctx, n.payload.Holder(), key, asked, conversation); err != nil {
			n.log.Warn("could not note where the conversation moved", "conversation", conversation, "err", err)
		}
	}
	return err
}

// toolRound notes a round, first in the journal: the record may be gone with this process.
func (n *notes) toolRound(ctx context.Context, round *record.ToolRound) error {
	text, err := json.Marshal(round)
	if err != nil {
		return fmt.Errorf("note the tools of %s: %w", n.id, err)
	}
	if err := n.tell(ctx, Progress{ConversationID: n.rec.Result.ConversationID, ChatID: round.ChatID, Tools: text}); err != nil {
		return err
	}
	return n.rec.NoteTools(ctx, round, text)
}
