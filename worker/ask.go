package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// taskTag is the key in the question's meta_data that carries the task's id: by
// it a question is found again in its conversation.
const taskTag = "cozeq_task"

// ask puts the question to Coze and reads the answer.
func (a *attempt) ask(ctx context.Context) (*coze.Chat, error) {
	conversation, err := a.conversation(ctx)
	if err != nil {
		return nil, err
	}
	r := &a.rec.Result
	if a.chat.Stream && (r.Attempts > 0 || a.rec.Waits > 0) {
		if err := a.rec.Delta(ctx, results.Delta{Type: results.DeltaReset}); err != nil {
			return nil, err
		}
	}
	if err := a.removeFailedTurn(ctx, conversation); err != nil {
		return nil, err
	}
	if a.rec.Made && (a.chat.LaneSeq > 0 || a.ofBatch()) {
		// Its producer made a record, and that is gone: nobody knows what it said. Of a
		// task that another program has enqueued there may never have been one.
		r.PossibleDuplicate = true
	}
	err = a.asking(ctx, conversation)
	if errors.Is(err, results.ErrChatGiven) {
		return a.lookUp(ctx)
	}
	if err != nil {
		return nil, err
	}
	if a.rec.CancelRequested {
		a.rec.AskedAt = time.Time{}
		a.hold.stop(errCanceled)
		return nil, errCanceled
	}
	chat, err := a.stream(ctx, conversation)
	switch {
	case err == nil && chat.ID == "" && !chat.HasAnswer():
		return a.unnamed(ctx, chat)
	case err == nil:
		return a.complete(ctx, chat)
	}
	e, ok := errors.AsType[*coze.Error](err)
	if !ok || ctx.Err() != nil {
		return nil, err
	}
	switch {
	case errors.Is(err, results.ErrFenced):
		return nil, err
	case errors.Is(err, results.ErrChatGiven):
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
		found, findErr := a.find(ctx)
		if findErr != nil {
			return nil, findErr
		}
		if !found {
			a.madeUnseen()
			return nil, err
		}
		return a.lookUp(ctx)
	case e.Ended:
		return nil, a.ended(ctx, e)
	default:
		a.log.Info("stream broke, looking the chat up", "chat", r.ChatID, "err", err)
		return a.lookUp(ctx)
	}
}

// refused handles an ask that made no chat. A conversation that is gone is made
// anew, once, and asked in again at once: nothing was spent.
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

// busyWithOurs handles the word that a chat is active in a conversation in which
// nobody but this task asks: an earlier ask was taken after all, and Coze did not
// list it yet when we looked. Until it does the ask counts as one without a reply.
func (a *attempt) busyWithOurs(ctx context.Context, e *coze.Error) (*coze.Chat, error) {
	asked := a.rec.AskedAt
	found, err := a.find(ctx)
	if err != nil {
		return nil, err
	}
	if found {
		return a.lookUp(ctx)
	}
	if a.rec.Result.ConversationID != "" { // unless it is given up, with possible_duplicate set
		a.rec.AskedAt = asked
	}
	return nil, e
}

// ended handles a chat that is known to have ended without an answer. The next
// ask is a new chat; it starts from a clean conversation where nobody needs this
// one, as the question already stands in it. A chat that waits for tools keeps its
// conversation busy, so nobody uses that again.
func (a *attempt) ended(ctx context.Context, e *coze.Error) error {
	a.over(a.rec.Result.ChatID)
	switch {
	case errors.Is(e, coze.ErrAsksBack): // it is answered there
	case e.Class == coze.ClassAction:
		a.forgetConversation(ctx)
	case a.ownConversation():
		a.rec.Result.ConversationID = ""
	}
	a.rec.AskedAt = time.Time{}
	return e
}

// over notes a chat that has ended without an answer, and where that was: a task that
// is not asked again says so in its record, for whoever asks Coze's support.
func (a *attempt) over(chatID string) {
	a.rec.EndedChat, a.rec.Result.ChatID = chatID, ""
	a.hold.chat.Store(nil)
	if a.ownConversation() {
		a.rec.EndedConversation = a.rec.Result.ConversationID
	}
}

func (a *attempt) request(conversation string) *coze.ChatRequest {
	messages := make([]coze.Message, len(a.chat.AdditionalMessages))
	for i, m := range a.chat.AdditionalMessages {
		messages[i] = coze.Message{
			Role:        coze.Role(m.Role),
			Type:        coze.MessageType(m.Type),
			Content:     m.Content,
			ContentType: coze.ContentType(m.ContentType),
			MetaData:    m.MetaData,
		}
		if m.ContentType == "" {
			messages[i].ContentType = coze.ContentText
		}
	}
	question := &messages[len(messages)-1]
	meta := make(map[string]string, len(question.MetaData)+1)
	for key, value := range question.MetaData {
		meta[key] = value
	}
	meta[taskTag] = a.id
	question.MetaData = meta
	return &coze.ChatRequest{
		ConversationID:     conversation,
		BotID:              a.chat.BotID,
		UserID:             a.chat.UserID,
		AdditionalMessages: messages,
		AutoSaveHistory:    a.chat.AutoSaveHistory,
		CustomVariables:    a.chat.CustomVariables,
		MetaData:           a.chat.MetaData,
		ExtraParams:        a.chat.ExtraParams,
		Parameters:         a.chat.Parameters,
	}
}

// historySaved reports whether Coze keeps the question and the chat: without that
// neither can be looked up.
func historySaved(chat *tasks.Chat) bool {
	return chat.AutoSaveHistory == nil || *chat.AutoSaveHistory
}
