package coze

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// ChatflowRequest is a question to a chatflow, a workflow that holds a conversation. WorkflowID and AdditionalMessages are
// required, and so is one of BotID and AppID. Coze takes at most 50 messages, of text alone: files go into Parameters.
type ChatflowRequest struct {
	WorkflowID         string                     `json:"workflow_id"`
	AdditionalMessages []Message                  `json:"additional_messages"`
	Parameters         map[string]json.RawMessage `json:"parameters"` // of the start node; sent as {} if empty
	BotID              string                     `json:"bot_id,omitempty"`
	AppID              string                     `json:"app_id,omitempty"`
	ConversationID     string                     `json:"conversation_id,omitempty"` // "" lets Coze make a conversation
	Ext                map[string]string          `json:"ext,omitempty"`
	Version            string                     `json:"workflow_version,omitempty"`
	ConnectorID        string                     `json:"connector_id,omitempty"`

	// BeforeSend is asked before the question is sent: see [ChatRequest].
	BeforeSend func() error `json:"-"`
}

const opChatflow = "workflows/chat"

// StreamChatflow asks a chatflow. The stream is that of a chat, see [Client.Stream], and so are the errors. A chatflow that
// asks back ends with ErrAsksBack: ask it again in the same conversation with the reply. Coze documents no call that looks up
// a chatflow's chat.
func (c *Client) StreamChatflow(ctx context.Context, request *ChatflowRequest) (*Stream, error) {
	switch {
	case request == nil || request.WorkflowID == "":
		return nil, invalid(opChatflow, "the question names no chatflow")
	case len(request.AdditionalMessages) == 0:
		return nil, invalid(opChatflow, "there is no question")
	case (request.BotID == "") == (request.AppID == ""):
		return nil, invalid(opChatflow, "the question has to name a bot or an app, and not both")
	}
	own := *request
	own.AdditionalMessages = sendable(request.AdditionalMessages)
	if own.Parameters == nil {
		own.Parameters = map[string]json.RawMessage{}
	}
	return c.stream(ctx, call{
		op: opChatflow, method: http.MethodPost, path: "/v1/workflows/chat", conversationID: own.ConversationID, inBody: true, body: &own,
		asks: true, beforeSend: own.BeforeSend,
	})
}

// interrupts reports whether a message says that a chatflow waits for the user's words. Its stream then has no end of a chat.
func (m *Message) interrupts() bool {
	if m.Type != MessageVerbose || !strings.Contains(m.Content, "interrupt") {
		return false
	}
	var verbose struct {
		Kind text `json:"msg_type"`
	}
	return json.Unmarshal([]byte(m.Content), &verbose) == nil && verbose.Kind == "interrupt"
}

// askedBack is the terminal event of a chatflow that was interrupted, as a chat of a bot has it. done is the data of done.
func (s *Stream) askedBack(done []byte) (Event, error) {
	chat := &Chat{Status: StatusRequiresAction, DebugURL: debugURLOf(done), RequiredAction: &RequiredAction{
		Type: "submit_tool_outputs", SubmitToolOutputs: SubmitToolOutputs{ToolCalls: []ToolCall{{Type: "reply_message"}}},
	}}
	s.adopt(chat)
	return Event{Type: EventChatRequiresAction, Chat: chat}, chat.Err()
}
