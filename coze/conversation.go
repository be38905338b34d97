package coze

import (
	"context"
	"net/http"
)

// Conversation is a thread of messages. Times are Unix seconds.
type Conversation struct {
	ID            string            `json:"id"`
	Name          string            `json:"name,omitempty"`
	MetaData      map[string]string `json:"meta_data,omitempty"`
	CreatorID     string            `json:"creator_id,omitempty"`
	ConnectorID   string            `json:"connector_id,omitempty"`
	LastSectionID string            `json:"last_section_id,omitempty"`
	CreatedAt     int64             `json:"created_at,omitempty"`
	UpdatedAt     int64             `json:"updated_at,omitempty"`
}

// UnmarshalJSON reads a conversation in any of the forms that Coze sends: ids and times as numbers, strings or null.
func (c *Conversation) UnmarshalJSON(b []byte) error {
	o := object{b: b}
	var got Conversation
	for o.next() {
		switch string(o.name) {
		case "id":
			got.ID = idOf(o.value)
		case "name":
			got.Name = textOf(o.value)
		case "meta_data":
			got.MetaData = textsOf(o.value)
		case "creator_id":
			got.CreatorID = idOf(o.value)
		case "connector_id":
			got.ConnectorID = idOf(o.value)
		case "last_section_id":
			got.LastSectionID = idOf(o.value)
		case "created_at":
			got.CreatedAt = integerOf(o.value)
		case "updated_at":
			got.UpdatedAt = integerOf(o.value)
		}
	}
	if o.err != nil {
		return o.err
	}
	*c = got
	return nil
}

// ConversationRequest describes a new conversation; every field is optional.
type ConversationRequest struct {
	BotID       string            `json:"bot_id,omitempty"` // for listing by bot; it does not bind the conversation to the bot
	Name        string            `json:"name,omitempty"`   // at most 100 characters
	Messages    []Message         `json:"messages,omitempty"`
	MetaData    map[string]string `json:"meta_data,omitempty"` // at most 16 pairs, keys to 64 and values to 512 characters
	ConnectorID string            `json:"connector_id,omitempty"`
}

// CreateConversation makes a conversation; request may be nil. It is not idempotent. Errors are [*Error].
func (c *Client) CreateConversation(ctx context.Context, request *ConversationRequest) (*Conversation, error) {
	var body ConversationRequest
	if request != nil {
		body = *request
		body.Messages = sendable(body.Messages)
	}
	return fetch[Conversation](ctx, c, call{
		op: "conversation/create", method: http.MethodPost, path: "/v1/conversation/create", body: &body,
	})
}

// RetrieveConversation reads a conversation. Coze shows it only to the identity that created it. Errors are [*Error].
func (c *Client) RetrieveConversation(ctx context.Context, conversationID string) (*Conversation, error) {
	return fetch[Conversation](ctx, c, call{
		op: "conversation/retrieve", method: http.MethodGet, path: "/v1/conversation/retrieve",
		conversationID: conversationID, need: "conversation_id",
	})
}
