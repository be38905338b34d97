package coze

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// ChatRequest is a question to a bot. BotID and UserID are required. The last of AdditionalMessages is the question;
// without any, the last message of the conversation is.
type ChatRequest struct {
	ConversationID     string                     `json:"-"` // goes into the query; "" lets Coze make a conversation
	BotID              string                     `json:"bot_id"`
	UserID             string                     `json:"user_id"`
	AdditionalMessages []Message                  `json:"additional_messages,omitempty"` // at most 100
	Stream             bool                       `json:"stream"`                        // set by the client in its own copy
	AutoSaveHistory    *bool                      `json:"auto_save_history,omitempty"`   // nil = true; lookups need true
	CustomVariables    map[string]string          `json:"custom_variables,omitempty"`
	MetaData           map[string]string          `json:"meta_data,omitempty"` // at most 16 pairs, keys to 64, values to 512 characters
	ExtraParams        map[string]string          `json:"extra_params,omitempty"`
	Parameters         map[string]json.RawMessage `json:"parameters,omitempty"` // a chatflow's inputs
	ShortcutCommand    json.RawMessage            `json:"shortcut_command,omitempty"`
	EnableCard         bool                       `json:"enable_card,omitempty"`
	PublishStatus      string                     `json:"publish_status,omitempty"`
	BotVersion         string                     `json:"bot_version,omitempty"`

	// BeforeSend, if not nil, is called when there is a connection for the question, and before each piece of a
	// question of more than 2 KiB. Its consent is valid for ConsentTime. After an error, or when the consent has
	// expired, nothing more is sent and the question counts as refused: the *Error has ZoneRefused and wraps the error,
	// or ErrStoodStill. Another goroutine may call it, but one at a time, and no call begins after Stream or CreateChat
	// has returned.
	BeforeSend func() error `json:"-"`
}

// ConsentTime is how long the consent of ChatRequest.BeforeSend is valid. A process that stands still for longer
// between the consent and the bytes, like a paused virtual machine, sends nothing when it wakes.
const ConsentTime = time.Second

// prepared is the request to send; the caller's is not changed.
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
		asks: true, beforeSend: request.BeforeSend,
	}
}

// CreateChat starts a chat without a stream. The Chat has its ids and usually StatusCreated or StatusInProgress: call
// [Client.RetrieveChat] until it is terminal, then [Client.ListChatMessages]. It is not idempotent: the [*Error]'s Zone
// says how far it came.
func (c *Client) CreateChat(ctx context.Context, request *ChatRequest) (*Chat, error) {
	own, err := request.prepared(false)
	if err != nil {
		return nil, err
	}
	return fetch[Chat](ctx, c, chatCall(own))
}

// RetrieveChat reads a chat's state. The error, an [*Error], is about the call; [Chat.Err] says whether the chat failed.
// Coze allows one call a second for each chat.
func (c *Client) RetrieveChat(ctx context.Context, conversationID, chatID string) (*Chat, error) {
	chat, err := fetch[Chat](ctx, c, call{
		op: "chat/retrieve", method: http.MethodGet, path: "/v3/chat/retrieve",
		conversationID: conversationID, chatID: chatID, need: "chat_id",
	})
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

// ListChatMessages reads a chat's messages, of all types and in no promised order, without the question; a failed chat
// has none. The list is incomplete before the chat is terminal. Errors are [*Error].
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

// CancelChat asks Coze to cancel a chat. That ends neither an open stream nor the bill. The Chat may lack fields and may
// have the wrong status: call RetrieveChat. Code 4104 means that the chat had already ended. Errors are [*Error].
func (c *Client) CancelChat(ctx context.Context, conversationID, chatID string) (*Chat, error) {
	chat, err := fetch[Chat](ctx, c, call{
		op: "chat/cancel", method: http.MethodPost, path: "/v3/chat/cancel", need: "chat_id",
		inBody: true, conversationID: conversationID, chatID: chatID,
		body: struct {
			ConversationID string `json:"conversation_id"`
			ChatID         string `json:"chat_id"`
		}{conversationID, chatID},
	})
	if err != nil {
		return nil, err
	}
	keepString(&chat.ID, chatID)
	keepString(&chat.ConversationID, conversationID)
	return chat, nil
}
