package worker

import (
	"context"
	"errors"

	"github.com/cozeq/cozeq/coze"
)

// conversation returns the conversation to ask in, and creates it if there is none. It must be known before anything is paid
// for: Coze would create one by itself, but a question without a reply could then never be found again.
func (a *attempt) conversation(ctx context.Context) (string, error) {
	switch {
	case a.chat.IsWorkflow():
		return "", nil
	case a.chat.ConversationID != "":
		return a.chat.ConversationID, nil
	case a.chat.ConversationKey != "":
		id, err := a.conversations.Get(ctx, a.chat.Holder(), a.chat.ConversationKey)
		if err != nil || id != "" {
			return id, err
		}
		if id, err = a.createConversation(ctx); err != nil {
			return "", err
		}
		return a.conversations.Name(ctx, a.chat.Holder(), a.chat.ConversationKey, id)
	case a.rec.Result.ConversationID != "":
		return a.rec.Result.ConversationID, nil
	case a.chat.Stream && a.chat.ConnectorID == "":
		if spare := a.spares.take(a.coze, a.chat.BotID); spare != "" {
			return spare, nil
		}
	}
	return a.createConversation(ctx)
}

func (a *attempt) createConversation(ctx context.Context) (string, error) {
	call := a.spans.Call("coze conversation/create", a.coze)
	conversation, err := a.coze.CreateConversation(ctx, &coze.ConversationRequest{BotID: a.chat.BotID, ConnectorID: a.chat.ConnectorID})
	call.End(err)
	if err != nil {
		return "", err
	}
	return conversation.ID, nil
}

// forgetConversation makes sure that the conversation is not used again, unless it is the caller's own.
func (a *attempt) forgetConversation(ctx context.Context) {
	if a.chat.ConversationID != "" {
		return
	}
	if key := a.chat.ConversationKey; key != "" {
		if err := a.conversations.Drop(ctx, a.chat.Holder(), key, a.rec.Result.ConversationID); err != nil {
			a.log.Warn("could not forget a conversation", "conversation", a.rec.Result.ConversationID, "err", err)
		}
	}
	a.rec.Result.ConversationID = ""
}

// conversationGone reports whether a refusal means that the conversation is gone, and that we may replace it. Code 4200 may
// as well be about the bot, the token or the region, so Coze is asked for the conversation itself.
func (a *attempt) conversationGone(ctx context.Context, e *coze.Error) bool {
	if a.chat.ConversationID != "" || a.chat.IsWorkflow() {
		return false
	}
	if e.Code == codeNotFound {
		_, err := a.coze.RetrieveConversation(ctx, a.rec.Result.ConversationID)
		retrieve, ok := errors.AsType[*coze.Error](err)
		return ok && (retrieve.Code == codeConversationUnknown || retrieve.Code == codeNotFound)
	}
	return e.Code == codeConversationUnknown
}

// Coze's codes that decide more than a class.
const (
	codeChatUnknown         = 4001
	codeConversationUnknown = 4002
	codeNotFound            = 4200
)
