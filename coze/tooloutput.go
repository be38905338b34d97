package coze

import (
	"context"
	"net/http"
)

// ToolOutput is what a tool gave that a bot called.
type ToolOutput struct {
	ToolCallID string `json:"tool_call_id"`
	Output     string `json:"output"` // a JSON object in a string, as the plugin declares its output
}

// SubmitToolOutputs gives a chat the outputs of all tools that it waits for, see [Chat.ToolCalls], and streams on: the
// events are of the same chat, which may wait for tools again. The Zone of an error, from here or from Events, says whether
// Coze took the outputs. If that is not known, [Client.RetrieveChat] tells: a chat that took them does not wait for the
// same calls any more. Coze refuses outputs that it has taken already.
func (c *Client) SubmitToolOutputs(ctx context.Context, conversationID, chatID string, outputs []ToolOutput) (*Stream, error) {
	const op = "chat/submit_tool_outputs"
	switch {
	case conversationID == "":
		return nil, invalid(op, "the conversation's id is empty")
	case chatID == "":
		return nil, invalid(op, "the chat's id is empty")
	case len(outputs) == 0:
		return nil, invalid(op, "there are no outputs")
	}
	return c.stream(ctx, call{
		op: op, method: http.MethodPost, path: "/v3/chat/submit_tool_outputs", conversationID: conversationID, chatID: chatID, asks: true,
		body: struct {
			ToolOutputs []ToolOutput `json:"tool_outputs"`
			Stream      bool         `json:"stream"`
		}{outputs, true},
	})
}

// ToolCalls are the functions that the chat waits for, each id once. Nil: it waits for none, or for something that no tool
// can give, such as a reply of the user.
func (c *Chat) ToolCalls() []ToolCall {
	if c.Status != StatusRequiresAction || c.RequiredAction == nil {
		return nil
	}
	var all []ToolCall
	seen := make(map[string]bool)
	for _, call := range c.RequiredAction.SubmitToolOutputs.ToolCalls {
		if call.ID == "" || call.Type == replyMessage {
			return nil
		}
		if !seen[call.ID] {
			seen[call.ID] = true
			all = append(all, call)
		}
	}
	return all
}

// replyMessage is the type of a call that only the user can answer.
const replyMessage = "reply_message"
