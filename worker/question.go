package worker

import (
	"cmp"
	"context"
	"maps"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/tasks"
)

// taskTag is the key in the question's meta_data that carries the task's id. find knows the question by it.
const taskTag = "cozeq_task"

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

// historySaved reports whether Coze keeps the question and the chat. Without that neither can be looked up.
func historySaved(chat *tasks.Chat) bool {
	return chat.AutoSaveHistory == nil || *chat.AutoSaveHistory
}

func (a *attempt) runRequest(note *note) *coze.WorkflowRequest {
	c := a.chat
	return &coze.WorkflowRequest{
		WorkflowID: c.WorkflowID, Parameters: c.Parameters, BotID: c.BotID, AppID: c.AppID, Ext: a.ext(),
		Version: c.WorkflowVersion, ConnectorID: c.ConnectorID, BeforeSend: note.leave,
	}
}

func (a *attempt) resumeRequest(note *note) *coze.ResumeRequest {
	r := a.chat.Resume
	return &coze.ResumeRequest{
		WorkflowID: a.chat.WorkflowID, EventID: r.EventID, InterruptType: r.InterruptType, Data: r.Data, BeforeSend: note.leave,
	}
}

// ext has the task's user in it, as workflows and chatflows have no other place for one.
func (a *attempt) ext() map[string]string {
	ext, user := a.chat.Ext, a.chat.UserID
	if user == tasks.DefaultUserID || ext["user_id"] != "" {
		return ext
	}
	ext = maps.Clone(ext)
	if ext == nil {
		ext = make(map[string]string)
	}
	ext["user_id"] = user
	return ext
}
