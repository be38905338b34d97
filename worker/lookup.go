package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/lane"
)

// Polling: Coze asks for at most one call a second for each chat, and every call counts for the same limit as a chat.
// Recorded answers took about a minute.
var (
	pollWaits = backoff.Policy{First: 1125 * time.Millisecond, Most: 6750 * time.Millisecond, Factor: 1.5, Jitter: 1. / 9}
	readWaits = backoff.Policy{First: time.Second, Most: 6 * time.Second}
)

const (
	waitInSlot = 6 * time.Second // the longest Retry-After of a rate limit that is waited for in a slot

	// unknownTries is how often Coze may say that it does not know a chat which it named itself, before it is believed: its
	// replicas may lag. readTries is the same for a completed chat without an answer among its messages.
	unknownTries = 4
	readTries    = 4
)

// errGone is about a chat that Coze no longer knows.
var errGone = errors.New("coze no longer knows the chat")

// lookUp waits for the end of the chat that the record names and reads its messages, as if its stream had held. It asks nothing.
func (a *attempt) lookUp(ctx context.Context) (next state, err error) {
	a.cfg.Metrics.LookUp()
	span := a.spans.Call("look up", a.coze)
	if a.payload.IsWorkflow() {
		a.chat, err = a.workflow.lookUp(ctx)
		span.End(err)
		if e, ok := errors.AsType[*coze.Error](err); ok && a.chat != nil {
			err = a.ended(ctx, e)
		}
		return answered, err
	}
	a.chat, err = a.lookup.end(ctx)
	span.End(err)
	if err != nil {
		return lookingUp, lookUpError(err)
	}
	e := a.chat.Err()
	if e != nil && a.chat.AsksBack() == "" && a.tools.awaited(a.chat) == nil {
		return lookingUp, a.ended(ctx, e)
	}
	if err := a.pieces.startOver(ctx, a.chat); err != nil {
		return lookingUp, err
	}
	if e != nil {
		return a.stopped(ctx, e)
	}
	return answered, nil
}

// lookup looks up a chat that exists, or looks for one that may (find.go). It asks nothing.
type lookup struct {
	*task
	notes         *notes
	conversations *conversations
	lanes         *lane.Lanes
}

// end waits for the end of the chat and reads what it said.
func (l *lookup) end(ctx context.Context) (*coze.Chat, error) {
	chat, err := l.poll(ctx)
	if err != nil {
		return nil, err
	}
	if l.inRound(chat) {
		chat.Usage = nil // it is noted
	}
	l.keepUsage(chat)
	if chat.Err() != nil {
		l.readPartial(ctx, chat)
		return chat, nil
	}
	return chat, l.readMessages(ctx, chat)
}

// lookUpError is the error of a lookup. A call that our own checks refuse does not make the question invalid: it was asked.
func lookUpError(err error) error {
	if e, ok := errors.AsType[*coze.Error](err); ok && e.Class == coze.ClassInvalid {
		own := *e
		own.Class = coze.ClassTransient
		return own.WithHint("")
	}
	return err
}

// poll waits for the end of the chat that the record names.
func (l *lookup) poll(ctx context.Context) (*coze.Chat, error) {
	r := &l.rec.Result
	return awaitEnd(ctx, l, func() (*coze.Chat, error) { return l.coze.RetrieveChat(ctx, r.ConversationID, r.ChatID) },
		func(chat *coze.Chat) bool { return chat.Status.Terminal() }, l.isUnknown)
}

// awaitEnd looks at a chat, or at a workflow's run, until it is over. It asks nothing. unknown says which errors mean that Coze
// does not know it.
func awaitEnd[T any](ctx context.Context, l *lookup, look func() (*T, error), over func(*T) bool, unknown func(*coze.Error) bool) (*T, error) {
	tries := 0
	for waits := pollWaits.Start(); ; {
		if err := l.calls.permit(ctx); err != nil {
			return nil, err
		}
		asked, err := look()
		e, _ := errors.AsType[*coze.Error](err)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil && over(asked):
			return asked, nil
		case err == nil:
			tries = 0
			err = waits.Sleep(ctx, 0)
		case unknown(e):
			if tries++; tries == unknownTries {
				return nil, l.gone(ctx, e)
			}
			err = waits.Sleep(ctx, 0)
		default:
			err = l.retry(ctx, waits, err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// retry decides about a call that failed while it looked a chat up: it returns nil after a wait, or the error with which
// the attempt ends.
//
// The chat is paid for, and a lookup is no ask that could be used up. So most failures are waited for. One that takes a
// person, or more than a few seconds, gives the slot back: the chat stays noted and is looked up later. A refusal without a
// code is a proxy's, not Coze's.
func (l *lookup) retry(ctx context.Context, waits *backoff.Waits, err error) error {
	e, ok := errors.AsType[*coze.Error](err)
	switch {
	case !ok,
		errors.Is(e, coze.ErrEventTooLarge), // it will be as large the next time
		e.Unreached,                         // the network may be away for long
		e.Class == coze.ClassAuth, e.Class == coze.ClassQuota, e.Class == coze.ClassEndpoint, e.Class == coze.ClassInvalid,
		e.Class == coze.ClassRate && e.RetryAfter > waitInSlot,
		e.Class == coze.ClassPermanent && e.Code != 0:
		return err
	}
	l.calls.limitOrPause(ctx, e)
	l.log.Debug("a lookup failed, will try again", "chat", l.rec.Result.ChatID, "err", err)
	return waits.Sleep(ctx, e.RetryAfter)
}

// isUnknown reports whether Coze does not know the chat. It documents no call that looks a chatflow's chat up, so any lasting
// refusal of one means that.
func (l *lookup) isUnknown(e *coze.Error) bool {
	return e != nil && (e.Code == codeChatUnknown || e.Code == codeConversationUnknown || e.Code == codeNotFound ||
		l.payload.IsChatflow() && e.Class == coze.ClassPermanent)
}

// gone forgets a chat that Coze does not know. The question is asked again, and may have been answered and billed once
// already.
func (l *lookup) gone(ctx context.Context, e *coze.Error) error {
	l.warn(fmt.Sprintf("chat %s was gone at Coze before its answer was read", l.rec.Result.ChatID))
	l.rec.Result.PossibleDuplicate = true
	l.chatEnded(l.rec.Result.ChatID)
	if l.ownConversation() || e.Code == codeConversationUnknown {
		l.conversations.forget(ctx)
	}
	l.rec.AskedAt = time.Time{}
	return fmt.Errorf("%w: %w", errGone, e)
}

// readPartial keeps what a chat said that ended without completing, if Coze lists it. It asks for it once, as Coze mostly
// lists nothing of a failed chat.
func (l *lookup) readPartial(ctx context.Context, chat *coze.Chat) {
	if l.calls.permit(ctx) != nil {
		return
	}
	messages, err := l.coze.ListChatMessages(ctx, chat.ConversationID, chat.ID)
	if err != nil {
		l.log.Debug("could not read what a chat said before it ended", "chat", chat.ID, "err", err)
		return
	}
	chat.Messages = messages
	l.keepPartial(chat)
}

// readMessages reads the messages of a completed chat whose answer is not known.
func (l *lookup) readMessages(ctx context.Context, chat *coze.Chat) error {
	tries := 0
	for waits := readWaits.Start(); ; {
		if err := l.calls.permit(ctx); err != nil {
			return err
		}
		messages, err := l.coze.ListChatMessages(ctx, chat.ConversationID, chat.ID)
		e, _ := errors.AsType[*coze.Error](err)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			chat.Messages = messages
			if chat.HasAnswer() {
				return nil
			}
		}
		if err != nil && !l.isUnknown(e) {
			err = l.retry(ctx, waits, err)
		} else if tries++; tries < readTries {
			err = waits.Sleep(ctx, 0)
		} else { // it completed with nothing to say: another lookup would not help
			l.chatEnded(chat.ID)
			if l.ownConversation() {
				l.rec.Result.ConversationID = ""
			}
			return errEmpty
		}
		if err != nil {
			return err
		}
	}
}
