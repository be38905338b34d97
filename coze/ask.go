package coze

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// ChatRequest is a question to a bot. BotID and UserID are required. The last of AdditionalMessages is the question;
// where there are none, it is the last message already in the conversation.
type ChatRequest struct {
	ConversationID     string                     `json:"-"` // goes into the query; "" lets Coze make a conversation
	BotID              string                     `json:"bot_id"`
	UserID             string                     `json:"user_id"`
	AdditionalMessages []Message                  `json:"additional_messages,omitempty"` // at most 100
	Stream             bool                       `json:"stream"`                        // set by the client in its own copy
	AutoSaveHistory    *bool                      `json:"auto_save_history,omitempty"`   // nil = true; look-ups need true
	CustomVariables    map[string]string          `json:"custom_variables,omitempty"`
	MetaData           map[string]string          `json:"meta_data,omitempty"` // at most 16 pairs, keys to 64, values to 512 characters
	ExtraParams        map[string]string          `json:"extra_params,omitempty"`
	Parameters         map[string]json.RawMessage `json:"parameters,omitempty"` // a chatflow's inputs
	ShortcutCommand    json.RawMessage            `json:"shortcut_command,omitempty"`
	EnableCard         bool                       `json:"enable_card,omitempty"`
	PublishStatus      string                     `json:"publish_status,omitempty"`
	BotVersion         string                     `json:"bot_version,omitempty"`

	// BeforeSend, if it is not nil, is asked for leave once there is a connection for the question, and before each
	// piece of a question of more than 2 KiB. The leave holds for LeaveTime. With an error, or when the leave has run
	// out, nothing more is sent and the question is refused: the *Error's Zone is ZoneRefused and it wraps the error,
	// or ErrStoodStill. It may be called by another goroutine, but by one at a time, and not after Stream or CreateChat
	// has returned but for a call that is under way.
	BeforeSend func() error `json:"-"`
}

// LeaveTime is how long the leave of ChatRequest.BeforeSend holds: a process that stands still for longer between the
// leave and the bytes, as a virtual machine that is paused does, sends nothing when it wakes.
const LeaveTime = time.Second

// prepared is the request as it is sent; the caller's stays as it was.
func (r *ChatRequest) prepared(stream bool) (*ChatRequest, error) {
	if r == nil || r.BotID == "" {
		return nil, invalid(opChat, "the question names no bot")
	}
	if r.UserID == "" {
		return nil, invalid(opChat, "the question names no user")
	}
	own := *r
	own.Stream = stream
	own.AdditionalMessages = sendable(r.AdditionalMessages)
	return &own, nil
}

const opChat = "chat"

// chatCall is POST /v3/chat.
func chatCall(request *ChatRequest) call {
	return call{
		op: opChat, method: http.MethodPost, path: "/v3/chat", conversationID: request.ConversationID, body: request,
		asks: true, leave: request.BeforeSend,
	}
}

// CreateChat starts a chat without a stream. The Chat tells its ids and, as a rule, StatusCreated or StatusInProgress:
// [Client.RetrieveChat] until it is terminal, then [Client.ListChatMessages]. It is not idempotent: the [*Error]'s Zone
// tells how far it came.
func (c *Client) CreateChat(ctx context.Context, request *ChatRequest) (*Chat, error) {
	own, err := request.prepared(false)
	if err != nil {
		return nil, err
	}
	chat := new(Chat)
	if err := c.call(ctx, chatCall(own), chat); err != nil {
		return nil, err
	}
	return chat, nil
}

// RetrieveChat reads where a chat stands. Whether the chat failed is for [Chat.Err]; the error, an [*Error], is of the
// call. Coze asks for at most one call a second for each chat.
func (c *Client) RetrieveChat(ctx context.Context, conversationID, chatID string) (*Chat, error) {
	chat := new(Chat)
	err := c.call(ctx, call{
		op: "chat/retrieve", method: http.MethodGet, path: "/v3/chat/retrieve",
		conversationID: conversationID, chatID: chatID, need: "chat_id",
	}, chat)
	if err != nil {
		return nil, err
	}
	if chat.ID != chatID {
		return nil, &Error{
			Op: "chat/retrieve", Class: ClassTransient, Message: "the reply is about another chat: " + bounded(chat.ID, 50),
			LogID: chat.logID, ConversationID: conversationID, ChatID: chatID,
		}
	}
	return chat, nil
}

// ListChatMessages reads what a chat produced, of all types and in no promised order; without the question, and none
// where the chat failed. It is incomplete before the chat is terminal. Errors are [*Error].
func (c *Client) ListChatMessages(ctx context.Context, conversationID, chatID string) ([]Message, error) {
	var messages []Message
	err := c.call(ctx, call{
		op: "chat/message/list", method: http.MethodGet, path: "/v3/chat/message/list",
		conversationID: conversationID, chatID: chatID, need: "chat_id",
	}, &messages)
	if err != nil {
		return nil, err
	}
	return messages, nil
}

// CancelChat asks Coze to cancel a chat. It does not end an open stream, nor the bill. The Chat may say little and even
// the wrong status: RetrieveChat tells. Code 4104 means that the chat had already ended. Errors are [*Error].
func (c *Client) CancelChat(ctx context.Context, conversationID, chatID string) (*Chat, error) {
	chat := new(Chat)
	err := c.call(ctx, call{
		op: "chat/cancel", method: http.MethodPost, path: "/v3/chat/cancel", need: "chat_id",
		inBody: true, conversationID: conversationID, chatID: chatID,
		body: struct {
			ConversationID string `json:"conversation_id"`
			ChatID         string `json:"chat_id"`
		}{conversationID, chatID},
	}, chat)
	if err != nil {
		return nil, err
	}
	keepString(&chat.ID, chatID)
	keepString(&chat.ConversationID, conversationID)
	return chat, nil
}
