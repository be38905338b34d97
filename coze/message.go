package coze

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Role is who speaks.
type Role string

// The two roles of a conversation.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// MessageType is what a message is for. Coze adds types without notice: ignore unknown ones.
type MessageType string

// The types that Coze documents.
const (
	MessageQuestion     MessageType = "question"
	MessageAnswer       MessageType = "answer"
	MessageFunctionCall MessageType = "function_call"
	MessageToolOutput   MessageType = "tool_output"
	MessageToolResponse MessageType = "tool_response"
	MessageFollowUp     MessageType = "follow_up"
	MessageKnowledge    MessageType = "knowledge"
	MessageVerbose      MessageType = "verbose"
)

// ContentType is the form of a message's content.
type ContentType string

// The forms of content. Card and audio are only ever received.
const (
	ContentText         ContentType = "text"
	ContentObjectString ContentType = "object_string" // a JSON array of text, file, image and audio items, as a string
	ContentCard         ContentType = "card"
	ContentAudio        ContentType = "audio"
)

// Message is one message of a conversation, received or to send. Ids are strings of digits; times are Unix seconds. To send
// one, [UserText] or Role, Content and ContentType are enough.
type Message struct {
	ID               string            `json:"id,omitempty"`
	ConversationID   string            `json:"conversation_id,omitempty"`
	BotID            string            `json:"bot_id,omitempty"`
	ChatID           string            `json:"chat_id,omitempty"` // "" for a message made by CreateMessage
	SectionID        string            `json:"section_id,omitempty"`
	Role             Role              `json:"role,omitempty"`
	Type             MessageType       `json:"type,omitempty"`
	Content          string            `json:"content"`
	ContentType      ContentType       `json:"content_type,omitempty"`
	ReasoningContent string            `json:"reasoning_content,omitempty"`
	MetaData         map[string]string `json:"meta_data,omitempty"`
	CreatedAt        int64             `json:"created_at,omitempty"`
	UpdatedAt        int64             `json:"updated_at,omitempty"`
}

// UserText is a user's question in plain text.
func UserText(text string) Message {
	return Message{Role: RoleUser, Type: MessageQuestion, Content: text, ContentType: ContentText}
}

// UnmarshalJSON reads a message in any of the forms that Coze sends: ids and times as numbers, strings or null.
func (m *Message) UnmarshalJSON(b []byte) error {
	o := object{b: b}
	var got Message
	for o.next() {
		switch string(o.name) {
		case "id":
			got.ID = idOf(o.value)
		case "conversation_id":
			got.ConversationID = idOf(o.value)
		case "bot_id":
			got.BotID = idOf(o.value)
		case "chat_id":
			got.ChatID = idOf(o.value)
		case "section_id":
			got.SectionID = idOf(o.value)
		case "role":
			got.Role = Role(textOf(o.value))
		case "type":
			got.Type = MessageType(textOf(o.value))
		case "content":
			got.Content = textOf(o.value)
		case "content_type":
			got.ContentType = ContentType(textOf(o.value))
		case "reasoning_content":
			got.ReasoningContent = textOf(o.value)
		case "meta_data":
			got.MetaData = textsOf(o.value)
		case "created_at":
			got.CreatedAt = integerOf(o.value)
		case "updated_at":
			got.UpdatedAt = integerOf(o.value)
		}
	}
	if o.err != nil {
		return o.err
	}
	*m = got
	return nil
}

// isAnswer reports whether m is an answer of the bot, of any content type.
func (m *Message) isAnswer() bool {
	return m.Type == MessageAnswer && (m.Role == RoleAssistant || m.Role == "")
}

func (m *Message) isText() bool { return m.ContentType == ContentText || m.ContentType == "" }

// finish reads the verbose message that follows the last answer; ok is false for any other message.
// Its content is JSON in a string: {"msg_type":"generate_answer_finish","data":"{\"finish_reason\":0,...}"}.
func (m *Message) finish() (reason int, ok bool) {
	if m.Type != MessageVerbose || !strings.Contains(m.Content, "generate_answer_finish") {
		return 0, false
	}
	outer := object{b: []byte(m.Content)}
	var kind, data string
	for outer.next() {
		switch string(outer.name) {
		case "msg_type":
			kind = textOf(outer.value)
		case "data":
			data = textOf(outer.value)
		}
	}
	if outer.err != nil || kind != "generate_answer_finish" {
		return 0, false
	}
	inner := object{b: []byte(data)} // may be ""
	for inner.next() {
		if string(inner.name) == "finish_reason" {
			reason = int(integerOf(inner.value))
		}
	}
	return reason, true
}

// sendable fills in the role and content type that Coze requires; it copies messages only if one is missing.
func sendable(messages []Message) []Message {
	copied := false
	for i := range messages {
		if messages[i].Role != "" && messages[i].ContentType != "" {
			continue
		}
		if !copied {
			messages, copied = append([]Message(nil), messages...), true
		}
		if messages[i].Role == "" {
			messages[i].Role = RoleUser
		}
		if messages[i].ContentType == "" {
			messages[i].ContentType = ContentText
		}
	}
	return messages
}

// CreateMessage adds a message to a conversation. It sends role (default user), content, content type (default text) and
// meta data. It is not idempotent. Errors are [*Error].
func (c *Client) CreateMessage(ctx context.Context, conversationID string, message *Message) (*Message, error) {
	if message == nil {
		return nil, invalid("conversation/message/create", "there is no message")
	}
	m := sendable([]Message{*message})[0]
	body := struct {
		Role        Role              `json:"role"`
		Content     string            `json:"content"`
		ContentType ContentType       `json:"content_type"`
		MetaData    map[string]string `json:"meta_data,omitempty"`
	}{m.Role, m.Content, m.ContentType, m.MetaData}
	return fetch[Message](ctx, c, call{
		op: "conversation/message/create", method: http.MethodPost, path: "/v1/conversation/message/create",
		conversationID: conversationID, body: body, need: "conversation_id",
	})
}

// ListMessagesRequest selects messages of a conversation. The zero value, or nil, is the newest 50.
type ListMessagesRequest struct {
	Order    string `json:"order,omitempty"`     // "desc" (default) or "asc"
	ChatID   string `json:"chat_id,omitempty"`   // only this chat's
	BeforeID string `json:"before_id,omitempty"` // messages before this one
	AfterID  string `json:"after_id,omitempty"`  // messages after this one
	Limit    int    `json:"limit,omitempty"`     // 1 to 50, 0 = 50
}

// MessagePage is a page of a conversation's messages.
type MessagePage struct {
	Messages []Message
	FirstID  string
	LastID   string
	HasMore  bool
}

// ListMessages reads a page of a conversation: questions and answers, as Coze lists them. Errors are [*Error].
func (c *Client) ListMessages(ctx context.Context, conversationID string, request *ListMessagesRequest) (*MessagePage, error) {
	if request == nil {
		request = new(ListMessagesRequest)
	}
	page := new(MessagePage)
	err := c.call(ctx, call{
		op: "conversation/message/list", method: http.MethodPost, path: "/v1/conversation/message/list",
		conversationID: conversationID, body: request, need: "conversation_id", page: page,
	}, &page.Messages)
	if err != nil {
		return nil, err
	}
	return page, nil
}

// DeleteMessage removes a question or an answer from a conversation, together with the intermediate messages of an answer.
// The token needs the permission deleteMessage. Errors are [*Error].
func (c *Client) DeleteMessage(ctx context.Context, conversationID, messageID string) error {
	const op = "conversation/message/delete"
	if messageID == "" {
		return invalid(op, "the message's id is empty")
	}
	return c.call(ctx, call{
		op: op, method: http.MethodPost, path: "/v1/conversation/message/delete", need: "conversation_id",
		conversationID: conversationID, query: query(conversationID, "") + "&message_id=" + url.QueryEscape(messageID),
	}, new(Message))
}

// valid returns s as valid UTF-8: Coze may cut a surrogate pair between two deltas, and each half becomes U+FFFD.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}
