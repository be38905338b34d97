package worker

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/tasks"
)

// taskTag is the key in the question's meta_data that carries the task's id. find knows the question by it.
const taskTag = "cozeq_task"

// ask puts the question to Coze and returns the chat with its answer. An error that leaves the chat's fate open leads to
// find or lookUp, never to a second ask within the attempt.
func (a *attempt) ask(ctx context.Context) (*coze.Chat, error) {
	conversation, err := a.conversation(ctx)
	if err != nil {
		return nil, err
	}
	r := &a.rec.Result
	if a.chat.Stream && (r.Attempts > 0 || a.rec.Waits > 0) {
		if err := a.rec.Delta(ctx, record.Delta{Type: record.DeltaReset}); err != nil {
			return nil, err
		}
	}
	if err := a.removeFailedTurn(ctx, conversation); err != nil {
		return nil, err
	}
	if a.rec.Made && a.chat.Recorded {
		r.PossibleDuplicate = true // the record was lost, with what it said of an earlier ask
	}
	err = a.permitToAsk(ctx, conversation)
	if errors.Is(err, record.ErrChatGiven) {
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
	chat, err := a.send(ctx, conversation)
	switch {
	case err != nil:
		return a.unanswered(ctx, conversation, chat, err)
	case a.chat.IsWorkflow():
		return chat, nil // it may have no output
	case chat.ID == "" && !chat.HasAnswer():
		return a.unnamed(ctx, chat)
	}
	return a.complete(ctx, chat)
}

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

// chatEnded notes a chat that ended without an answer, and where it was. A task that is not asked again names it in its
// record, for questions to Coze's support.
func (a *attempt) chatEnded(chatID string) {
	a.rec.EndedChat, a.rec.Result.ChatID = chatID, ""
	a.hold.chat.Store(nil)
	if a.ownConversation() {
		a.rec.EndedConversation = a.rec.Result.ConversationID
	}
}

// send puts what the task asks to Coze.
func (a *attempt) send(ctx context.Context, conversation string) (*coze.Chat, error) {
	if a.chat.IsWorkflow() {
		return a.run(ctx)
	}
	return a.stream(ctx, conversation)
}

// put sends the question to the bot, or to the chatflow: their streams are alike.
func (a *attempt) put(ctx context.Context, conversation string, note *note) (*coze.Stream, error) {
	c := a.chat
	if c.IsChatflow() {
		return a.coze.StreamChatflow(ctx, &coze.ChatflowRequest{
			WorkflowID: c.WorkflowID, AdditionalMessages: a.messages(), Parameters: c.Parameters, BotID: c.BotID, AppID: c.AppID,
			ConversationID: conversation, Ext: a.ext(), Version: c.WorkflowVersion, ConnectorID: c.ConnectorID, BeforeSend: note.leave,
		})
	}
	return a.coze.Stream(ctx, &coze.ChatRequest{
		ConversationID:     conversation,
		BotID:              c.BotID,
		UserID:             c.UserID,
		AdditionalMessages: a.messages(),
		AutoSaveHistory:    c.AutoSaveHistory,
		CustomVariables:    c.CustomVariables,
		MetaData:           c.MetaData,
		ExtraParams:        c.ExtraParams,
		Parameters:         c.Parameters,
		BeforeSend:         note.leave,
	})
}

// messages are the task's, the question with its tag.
func (a *attempt) messages() []coze.Message {
	messages := make([]coze.Message, len(a.chat.AdditionalMessages))
	for i, m := range a.chat.AdditionalMessages {
		messages[i] = coze.Message{
			Role:        coze.Role(m.Role),
			Type:        coze.MessageType(m.Type),
			Content:     m.Content,
			ContentType: cmp.Or(coze.ContentType(m.ContentType), coze.ContentText),
			MetaData:    m.MetaData,
		}
	}
	question := &messages[len(messages)-1]
	meta := make(map[string]string, len(question.MetaData)+1)
	maps.Copy(meta, question.MetaData)
	meta[taskTag] = a.id
	question.MetaData = meta
	return messages
}

// words are those of the question.
func (a *attempt) words() string {
	return a.chat.AdditionalMessages[len(a.chat.AdditionalMessages)-1].Content
}

// historySaved reports whether Coze keeps the question and the chat. Without that neither can be looked up.
func historySaved(chat *tasks.Chat) bool {
	return chat.AutoSaveHistory == nil || *chat.AutoSaveHistory
}
