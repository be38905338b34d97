package worker

import (
	"cmp"
	"maps"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/tasks"
)

// taskTag is the key in the question's meta_data that carries the task's id. find knows the question by it.
const taskTag = "cozeq_task"

// messages are the task's, the question with its tag.
func (t *task) messages() []coze.Message {
	messages := make([]coze.Message, len(t.payload.AdditionalMessages))
	for i, m := range t.payload.AdditionalMessages {
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
	meta[taskTag] = t.id
	question.MetaData = meta
	return messages
}

// words are those of the question.
func (t *task) words() string {
	return t.payload.AdditionalMessages[len(t.payload.AdditionalMessages)-1].Content
}

func (t *task) chatRequest(conversation string, note *askedNote) *coze.ChatRequest {
	c := t.payload
	return &coze.ChatRequest{
		ConversationID: conversation, BotID: c.BotID, UserID: c.UserID, AdditionalMessages: t.messages(), AutoSaveHistory: c.AutoSaveHistory,
		CustomVariables: c.CustomVariables, MetaData: c.MetaData, ExtraParams: c.ExtraParams, Parameters: c.Parameters,
		BeforeSend: note.leave,
	}
}

func (t *task) chatflowRequest(conversation string, note *askedNote) *coze.ChatflowRequest {
	c := t.payload
	return &coze.ChatflowRequest{
		WorkflowID: c.WorkflowID, AdditionalMessages: t.messages(), Parameters: c.Parameters, BotID: c.BotID, AppID: c.AppID,
		ConversationID: conversation, Ext: t.ext(), Version: c.WorkflowVersion, ConnectorID: c.ConnectorID, BeforeSend: note.leave,
	}
}

// historySaved reports whether Coze keeps the question and the chat. Without that neither can be looked up.
func historySaved(chat *tasks.Chat) bool {
	return chat.AutoSaveHistory == nil || *chat.AutoSaveHistory
}

func (t *task) workflowRequest(note *askedNote) *coze.WorkflowRequest {
	c := t.payload
	return &coze.WorkflowRequest{
		WorkflowID: c.WorkflowID, Parameters: c.Parameters, BotID: c.BotID, AppID: c.AppID, Ext: t.ext(),
		Version: c.WorkflowVersion, ConnectorID: c.ConnectorID, BeforeSend: note.leave,
	}
}

func (t *task) resumeRequest(note *askedNote) *coze.ResumeRequest {
	r := t.payload.Resume
	return &coze.ResumeRequest{
		WorkflowID: t.payload.WorkflowID, EventID: r.EventID, InterruptType: r.InterruptType, Data: r.Data, BeforeSend: note.leave,
	}
}

// ext has the task's user in it, as workflows and chatflows have no other place for one.
func (t *task) ext() map[string]string {
	ext, user := t.payload.Ext, t.payload.UserID
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
