package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
)

// unanswered handles an ask that ended with an error. If there may be a chat, it is looked for.
func (a *attempt) unanswered(ctx context.Context, conversation string, chat *coze.Chat, err error) (*coze.Chat, error) {
	e, ok := errors.AsType[*coze.Error](err)
	if !ok || ctx.Err() != nil {
		return nil, err
	}
	switch {
	case errors.Is(err, record.ErrFenced):
		return nil, err
	case errors.Is(err, record.ErrChatGiven):
		return a.lookUp(ctx)
	case errors.Is(err, errCanceled):
		a.clearAsked(ctx, conversation)
		a.hold.stop(errCanceled)
		return nil, errCanceled
	case e.Zone == coze.ZoneRefused && e.Class == coze.ClassBusy && a.ownConversation():
		return a.busyWithOurs(ctx, e)
	case e.Zone == coze.ZoneRefused:
		a.clearAsked(ctx, conversation)
		return a.refused(ctx, e)
	case e.Zone == coze.ZoneUnknown:
		chat, findErr := a.recoverChat(ctx)
		if chat == nil && findErr == nil {
			a.markUnseen()
			return nil, err
		}
		return chat, findErr
	case e.Ended:
		return a.stopped(ctx, chat, e)
	}
	a.log.Info("stream broke, looking the chat up", "chat", a.rec.Result.ChatID, "err", err)
	return a.lookUp(ctx)
}

// refused handles an ask that made no chat. If its conversation is gone, the question is asked again at once in a new one,
// once: nothing was spent.
func (a *attempt) refused(ctx context.Context, e *coze.Error) (*coze.Chat, error) {
	if a.recreated || !a.conversationGone(ctx, e) {
		return nil, e
	}
	a.recreated = true
	gone := a.rec.Result.ConversationID
	a.forgetConversation(ctx)
	if a.chat.ConversationKey != "" {
		a.warn("conversation " + gone + " was gone at Coze: this question was asked in a new one, without what was said before")
	}
	return a.ask(ctx)
}

// busyWithOurs handles the error that a chat is active in a conversation in which only this task asks. An earlier ask was
// taken after all, and Coze did not list it when find looked. Until Coze lists it, the ask counts as one without a reply.
func (a *attempt) busyWithOurs(ctx context.Context, e *coze.Error) (*coze.Chat, error) {
	asked := a.rec.AskedAt
	chat, err := a.recoverChat(ctx)
	if chat != nil || err != nil {
		return chat, err
	}
	if a.rec.Result.ConversationID != "" { // else it is given up, with possible_duplicate set
		a.rec.AskedAt = asked
	}
	return nil, e
}

// unnamed handles a chat that completed with neither an answer nor an id. Its answer may be listed, if the chat is found.
func (a *attempt) unnamed(ctx context.Context, chat *coze.Chat) (*coze.Chat, error) {
	found, err := a.recoverChat(ctx)
	if found != nil || err != nil {
		return found, err
	}
	a.keepUsage(chat)
	a.markUnseen()
	return nil, errEmpty
}

// markUnseen marks a question as possibly asked twice if its stream had events of a chat, while find sees none in its
// conversation: the chat may have been made elsewhere.
func (a *attempt) markUnseen() {
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
		a.forgetConversation(ctx)
	case a.ownConversation():
		a.rec.Result.ConversationID = ""
	}
	a.rec.AskedAt = time.Time{}
	return e
}
