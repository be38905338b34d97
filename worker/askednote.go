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

// created notes the chat before its answer is read. If Redis cannot take the note now, the answer is read all the same: it is
// on its way and paid for. Only a newer attempt's hold on the task ends this one.
func (a *attempt) created(ctx context.Context, chat *coze.Chat, logID string) error {
	a.rec.LogID = logID
	r := &a.rec.Result
	r.Answer, r.ContentType, r.Parts, r.Reasoning, r.FollowUps, r.DebugURL = "", "", nil, "", nil, "" // an earlier chat's
	asked := r.ConversationID
	conversation := cmp.Or(chat.ConversationID, asked)
	if err := a.progress(ctx, conversation, chat.ID, time.Time{}); err != nil {
		a.log.Warn("could not note the chat in the journal, reading on", "chat", chat.ID, "err", err)
	}
	own := record.GivenChat{TaskID: a.id, ConversationID: conversation, ChatID: chat.ID, AskedAt: a.rec.AskedAt, Runs: true}
	a.hold.chat.Store(&own)
	err := a.rec.Created(ctx, conversation, chat.ID)
	if err == nil {
		noted := own
		noted.Noted = true
		a.hold.chat.Store(&noted)
	}
	a.hold.sending.Store(false)
	if err != nil && !errors.Is(err, record.ErrFenced) {
		a.log.Warn("could not note the chat, reading on", "chat", chat.ID, "err", err)
		err = nil
	}
	if key := a.chat.ConversationKey; err == nil && key != "" && conversation != asked {
		if err := a.conversations.Move(ctx, a.chat.Holder(), key, asked, conversation); err != nil {
			a.log.Warn("could not note where the conversation moved", "conversation", conversation, "err", err)
		}
	}
	return err
}

// chatEnded notes a chat that ended without an answer, and where it was. A task that is not asked again names it in its
// record, for questions to Coze's support.
func (a *attempt) chatEnded(chatID string) {
	a.rec.EndedChat, a.rec.Result.ChatID = chatID, ""
	a.hold.chat.Store(nil)
	if a.ownConversation() {
		a.rec.EndedConversation = a.rec.Result.ConversationID
	}
}

// noteTools notes a round, first in the journal: the record may be gone with this process.
func (a *attempt) noteTools(ctx context.Context, round *record.ToolRound) error {
	text, err := json.Marshal(round)
	if err != nil {
		return fmt.Errorf("note the tools of %s: %w", a.id, err)
	}
	err = a.tell(ctx, Progress{
		ID: a.id, BotID: a.chat.BotID, ConversationKey: a.chat.ConversationKey, ConversationID: a.rec.Result.ConversationID,
		ChatID: round.ChatID, Tools: text,
	})
	if err != nil {
		return err
	}
	return a.rec.NoteTools(ctx, round, text)
}
