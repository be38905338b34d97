// Package toolwebhook makes client-side tools of webhooks: a call is posted, signed by Standard Webhooks, and the answer is the
// tool's output. Whatever goes wrong is the tool's failure, which the bot is told.
package toolwebhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// Event is the type of what is posted.
const Event = "tool.called"

// Client makes tools of URLs.
type Client struct{ webhook *webhook.Client }

func New(c *webhook.Client) *Client { return &Client{c} }

// Named makes a tool that the operator has named. The secret of the tool's name signs, or the operator's own.
func (c *Client) Named(name, url string) (worker.Tool, error) {
	target := func() webhook.Target {
		t := webhook.Target{URL: url, Field: name}
		if c.webhook.HasSecret(name) {
			t.Secret = name
		}
		return t
	}
	if err := c.webhook.Check(target()); err != nil {
		return nil, err
	}
	return func(ctx context.Context, arguments json.RawMessage) (string, error) {
		return c.call(ctx, target(), arguments)
	}, nil
}

// OfTask makes a tool that a task brings along. It signs with secrets of the task's tenant alone.
func (c *Client) OfTask(to tasks.ToolWebhook) worker.Tool {
	return func(ctx context.Context, arguments json.RawMessage) (string, error) {
		call := worker.ToolCallOf(ctx)
		return c.call(ctx, webhook.Target{URL: to.URL, Secret: to.Secret, Tenant: call.Tenant, Field: call.Name}, arguments)
	}
}

// data is what is posted. Its id is the webhook-id, the same if the call is posted again.
type data struct {
	ID             string          `json:"id"`
	TaskID         string          `json:"task_id"`
	BotID          string          `json:"bot_id"`
	ConversationID string          `json:"conversation_id"`
	ChatID         string          `json:"chat_id"`
	ToolCallID     string          `json:"tool_call_id"`
	Name           string          `json:"name"`
	Arguments      json.RawMessage `json:"arguments"`
}

func (c *Client) call(ctx context.Context, to webhook.Target, arguments json.RawMessage) (string, error) {
	call := worker.ToolCallOf(ctx)
	id := idOf(call)
	body, err := webhook.Encode(Event, results.At(time.Now()), data{
		id, call.TaskID, call.BotID, call.ConversationID, call.ChatID, call.ID, call.Name, arguments,
	})
	if err != nil {
		return "", fmt.Errorf("encode the call: %w", err)
	}
	return c.webhook.Call(ctx, to, id, body)
}

// idOf names a call in few characters that any header takes; Coze's own ids are opaque, and rounds may have the same.
func idOf(call worker.ToolCall) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %q", call.ChatID, call.Round, call.ID))
	return "tool-" + hex.EncodeToString(sum[:16])
}
