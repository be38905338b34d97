package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/results"
)

// Polling: Coze asks for at most one call a second for each chat, and every call
// counts for the same limit as a chat. Recorded answers took about a minute.
var (
	pollWaits = backoff.Policy{First: 1125 * time.Millisecond, Most: 6750 * time.Millisecond, Factor: 1.5, Jitter: 1. / 9}
	readWaits = backoff.Policy{First: time.Second, Most: pollMost}
)

const (
	pollMost = 6 * time.Second // the longest Retry-After that is waited for in a slot

	// unknownTries is how often Coze may say that it does not know a chat which it
	// had named itself, before it is believed: its replicas may lag.
	unknownTries = 4
)

// errGone is a chat that Coze knows no longer.
var errGone = errors.New("coze no longer knows the chat")

// lookUp waits for the end of the chat that is noted in the record and returns it
// with its messages, as if its stream had held. It asks nothing anew.
func (a *attempt) lookUp(ctx context.Context) (chat *coze.Chat, err error) {
	a.cfg.Metrics.LookUp()
	defer a.spans.Call("look up", a.coze).Done(&err)
	chat, err = a.poll(ctx)
	if err != nil {
		return nil, lookUpError(err)
	}
	a.keepUsage(chat)
	if chat.Err() != nil {
		a.readPartial(ctx, chat)
		return nil, a.ended(ctx, chat.Err())
	}
	if err := a.readMessages(ctx, chat); err != nil {
		return nil, lookUpError(err)
	}
	if a.chat.Stream {
		// The deltas of the broken stream are of no use to who reads them now.
		for _, d := range []results.Delta{{Type: results.DeltaReset}, {Type: results.DeltaText, Text: chat.Answer()}} {
			if err := a.rec.Delta(ctx, d); err != nil {
				return nil, err
			}
		}
	}
	return chat, nil
}

// placeChat finds the conversation of a chat that was noted without one. Where nothing
// says which it is, the chat cannot be looked up: the question is asked again, and
// perhaps it was answered and billed once already.
func (a *attempt) placeChat(ctx context.Context) error {
	r := &a.rec.Result
	if r.ConversationID != "" {
		return nil
	}
	r.ConversationID = a.chat.ConversationID
	if key := a.chat.ConversationKey; key != "" {
		id, err := a.conversations.Get(ctx, a.chat.BotID, key)
		if err != nil {
			return err
		}
		r.ConversationID = id
	}
	if r.ConversationID == "" {
		a.warn(fmt.Sprintf("chat %s was noted without its conversation, so nobody can look it up", r.ChatID))
		r.PossibleDuplicate = true
		a.over(r.ChatID)
	}
	return nil
}

// lookUpError is the error of a look-up. A call that our own checks refuse says nothing
// of the question, which was asked: it is not invalid.
func lookUpError(err error) error {
	if e, ok := errors.AsType[*coze.Error](err); ok && e.Class == coze.ClassInvalid {
		own := *e
		own.Class = coze.ClassTransient
		return own.WithHint("")
	}
	return err
}

func (a *attempt) poll(ctx context.Context) (*coze.Chat, error) {
	r := &a.rec.Result
	unknown := 0
	for waits := pollWaits.Start(); ; {
		if err := a.calls.permit(ctx); err != nil {
			return nil, err
		}
		chat, err := a.coze.RetrieveChat(ctx, r.ConversationID, r.ChatID)
		e, _ := errors.AsType[*coze.Error](err)
		least := time.Duration(0)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil && chat.Status.Terminal():
			return chat, nil
		case err == nil:
			unknown = 0
		case e == nil:
			return nil, err
		case chatUnknown(e):
			if unknown++; unknown == unknownTries {
				return nil, a.gone(ctx, e)
			}
		case !passes(e):
			return nil, e
		default:
			a.calls.heed(ctx, e)
			a.log.Debug("look-up failed, will try again", "chat", r.ChatID, "err", err)
			least = e.RetryAfter
		}
		if err := waits.Sleep(ctx, least); err != nil {
			return nil, err
		}
	}
}

func chatUnknown(e *coze.Error) bool {
	return e.Code == codeChatUnknown || e.Code == codeConversationUnknown || e.Code == codeNotFound
}

// passes reports whether a look-up that failed is tried again within the attempt: the
// chat is paid for, and to look is no ask that could be used up. What takes a person,
// or more than a few seconds, is waited for without a slot; the chat stays noted and
// is looked up again then. A refusal without a code is a proxy's word, not Coze's.
func passes(e *coze.Error) bool {
	if errors.Is(e, coze.ErrEventTooLarge) {
		return false // it will be as large the next time
	}
	if e.Unreached {
		return false // the network may be away for long
	}
	switch e.Class {
	case coze.ClassAuth, coze.ClassQuota, coze.ClassEndpoint, coze.ClassInvalid:
		return false
	case coze.ClassRate:
		return e.RetryAfter <= pollMost
	case coze.ClassPermanent:
		return e.Code == 0
	}
	return true
}

// gone forgets a chat that Coze does not know: the question is asked again, and
// perhaps it was answered and billed once already.
func (a *attempt) gone(ctx context.Context, e *coze.Error) error {
	a.warn(fmt.Sprintf("chat %s was gone at Coze before its answer was read", a.rec.Result.ChatID))
	a.rec.Result.PossibleDuplicate = true
	a.over(a.rec.Result.ChatID)
	if a.ownConversation() || e.Code == codeConversationUnknown {
		a.forgetConversation(ctx)
	}
	a.rec.AskedAt = time.Time{}
	return fmt.Errorf("%w: %w", errGone, e)
}

// readPartial takes over what a chat said that ended without completing, if Coze lists it:
// of a failed chat it mostly does not. It is asked for once.
func (a *attempt) readPartial(ctx context.Context, chat *coze.Chat) {
	if a.calls.permit(ctx) != nil {
		return
	}
	messages, err := a.coze.ListChatMessages(ctx, chat.ConversationID, chat.ID)
	if err != nil {
		a.log.Debug("could not read what a chat said before it ended", "chat", chat.ID, "err", err)
		return
	}
	chat.Messages = messages
	a.keepPartial(chat)
}

// readTries is how often the messages of a completed chat are asked for before it is
// believed that there is no answer among them.
const readTries = 4

// readMessages fills in the messages of a chat that completed, for which the
// stream, if there was one, had no answer. A list that cannot be read now is waited
// for, as in poll.
func (a *attempt) readMessages(ctx context.Context, chat *coze.Chat) error {
	tries := 0
	for waits := readWaits.Start(); ; {
		if err := a.calls.permit(ctx); err != nil {
			return err
		}
		messages, err := a.coze.ListChatMessages(ctx, chat.ConversationID, chat.ID)
		e, _ := errors.AsType[*coze.Error](err)
		least := time.Duration(0)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			chat.Messages = messages
			if chat.HasAnswer() {
				return nil
			}
			tries++
		case e == nil:
			return err
		case chatUnknown(e): // its replicas may lag
			tries++
		case !passes(e):
			return e
		default:
			a.calls.heed(ctx, e)
			a.log.Debug("could not read the answer, will try again", "chat", chat.ID, "err", err)
			least = e.RetryAfter
		}
		if tries == readTries {
			// It completed with nothing to say: there is no use in looking it up again.
			a.over(chat.ID)
			if a.ownConversation() {
				a.rec.Result.ConversationID = ""
			}
			return errEmpty
		}
		if err := waits.Sleep(ctx, least); err != nil {
			return err
		}
	}
}
