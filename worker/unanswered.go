package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
)

// unanswered handles an ask that ended with an error. If there may be a chat, it is looked for.
func (a *attempt) unanswered(ctx context.Context, conversation string, err error) (state, error) {
	e, ok := errors.AsType[*coze.Error](err)
	if !ok || ctx.Err() != nil {
		return asking, err
	}
	switch {
	case errors.Is(err, record.ErrFenced):
		return asking, err
	case errors.Is(err, record.ErrChatGiven):
		return lookingUp, nil
	case errors.Is(err, errCanceled):
		a.notes.refused(ctx, conversation)
		return asking, a.canceled()
	case e.Zone == coze.ZoneRefused && e.Class == coze.ClassBusy && a.ownConversation():
		return a.busyWithOurs(ctx, e)
	case e.Zone == coze.ZoneRefused:
		a.notes.refused(ctx, conversation)
		return a.refused(ctx, e)
	case e.Zone == coze.ZoneUnknown:
		found, findErr := a.lookup.find(ctx)
		if found || findErr != nil {
			return lookingUp, findErr
		}
		a.suspectDuplicate()
		return asking, err
	case e.Ended:
		return a.stopped(ctx, e)
	}
	a.log.Info("stream broke, looking the chat up", "chat", a.rec.Result.ChatID, "err", err)
	return lookingUp, nil
}

// refused handles an ask that made no chat. If its conversation is gone, the question is asked again at once in a new one,
// once: nothing was spent.
func (a *attempt) refused(ctx context.Context, e *coze.Error) (state, error) {
	if a.recreated || !a.conversations.isGone(ctx, e) {
		return asking, e
	}
	a.recreated = true
	gone := a.rec.Result.ConversationID
	a.conversations.forget(ctx)
	if a.payload.ConversationKey != "" {
		a.warn("conversation " + gone + " was gone at Coze: this question was asked in a new one, without what was said before")
	}
	return asking, nil
}

// busyWithOurs handles the error that a chat is active in a conversation in which only this task asks. An earlier ask was
// taken after all, and Coze did not list it when find looked. Until Coze lists it, the ask counts as one without a reply.
func (a *attempt) busyWithOurs(ctx context.Context, e *coze.Error) (state, error) {
	asked := a.rec.AskedAt
	found, err := a.lookup.find(ctx)
	if found || err != nil {
		return lookingUp, err
	}
	if a.rec.Result.ConversationID != "" { // else it is given up, with possible_duplicate set
		a.rec.AskedAt = asked
	}
	return asking, e
}

// unnamed handles a chat that completed with neither an answer nor an id. Its answer may be listed, if the chat is found.
func (a *attempt) unnamed(ctx context.Context) (state, error) {
	found, err := a.lookup.find(ctx)
	if found || err != nil {
		return lookingUp, err
	}
	a.keepUsage(a.chat)
	a.suspectDuplicate()
	return asking, errEmpty
}

// suspectDuplicate marks a question as possibly asked twice if its stream had events of a chat, while find sees none in its
// conversation: the chat may have been made elsewhere.
func (a *attempt) suspectDuplicate() {
	switch {
	case !a.events.came || a.rec.Result.PossibleDuplicate:
		return
	case a.events.strayed:
		a.warn("the reply to the question was of another chat, and none of its own was found")
	default:
		a.warn("the reply to the question was of a chat that it did not name, and none was found")
	}
	a.rec.Result.PossibleDuplicate = true
}

// ended handles a chat that ended without an answer. The next ask makes a new chat. If no other turn needs the conversation,
// the next ask takes a fresh one, as the question already stands in this one. A chat that waits for tools keeps its
// conversation busy, so that is not used again.
func (a *attempt) ended(ctx context.Context, e *coze.Error) error {
	a.chatEnded(a.rec.Result.ChatID)
	switch {
	case errors.Is(e, coze.ErrAsksBack): // the next turn answers the bot there
	case e.Class == coze.ClassAction:
		a.cfg.Metrics.ToolCall("", "missing") // under no name, as bots call tools as they like
		a.conversations.forget(ctx)
	case a.ownConversation():
		a.rec.Result.ConversationID = ""
	}
	a.rec.AskedAt = time.Time{}
	return e
}
