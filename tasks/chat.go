package tasks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/results"
)

// Version is the payload's version that this package writes.
const Version = 1

// DefaultUserID stands in for an empty user_id, which Coze requires.
const DefaultUserID = "cozeq"

// Chat is the payload of a task: a question to a bot, or with WorkflowID to a chatflow or the run of a workflow. Field names
// and shapes are Coze's where POST /v3/chat, /v1/workflows/chat or /v1/workflow/run has the field.
type Chat struct {
	V      int    `json:"v"`
	BotID  string `json:"bot_id,omitempty"`  // empty: the worker's default bot
	UserID string `json:"user_id,omitempty"` // empty: DefaultUserID

	// AdditionalMessages are the messages for Coze; the last one is the question. In the queue they are missing if they are
	// kept apart from the payload: see HasBody.
	AdditionalMessages []Message `json:"additional_messages,omitempty"`

	// Preview is the beginning of a question whose messages are kept apart.
	Preview string `json:"preview,omitempty"`

	// Sealed has AdditionalMessages, Preview, CustomVariables, Parameters, ExtraParams, MetaData, Ext, Resume, Tools and
	// Refused, encrypted. A Client whose store has keys sets it; Open reads it.
	Sealed string `json:"sealed,omitempty"`

	// ConversationID continues a conversation of Coze's. ConversationKey is the caller's own name for a conversation, which
	// is created at its first turn. At most one of the two is set. With neither the task has a conversation of its own.
	ConversationID  string `json:"conversation_id,omitempty"`
	ConversationKey string `json:"conversation_key,omitempty"`

	// WorkflowID makes the task run this workflow with Parameters, and ask no bot: see RunWorkflow. BotID is then a bot that
	// the workflow is to work with, AppID the app that the workflow belongs to; most workflows need neither. With
	// AdditionalMessages it is a chatflow, which is asked them: see AskChatflow. That needs a bot or an app.
	WorkflowID      string            `json:"workflow_id,omitempty"`
	AppID           string            `json:"app_id,omitempty"`
	WorkflowVersion string            `json:"workflow_version,omitempty"` // of a workflow in a library; empty: the newest
	ConnectorID     string            `json:"connector_id,omitempty"`     // the channel that the workflow runs in; empty: API
	Ext             map[string]string `json:"ext,omitempty"`              // latitude, longitude, user_id
	Resume          *Resume           `json:"resume,omitempty"`           // in place of Parameters

	// Chatflow is set by Enqueue for a question to a chatflow, whose messages may be kept apart.
	Chatflow bool `json:"chatflow,omitempty"`

	CustomVariables map[string]string          `json:"custom_variables,omitempty"`
	Parameters      map[string]json.RawMessage `json:"parameters,omitempty"`
	ExtraParams     map[string]string          `json:"extra_params,omitempty"`
	MetaData        map[string]string          `json:"meta_data,omitempty"`
	AutoSaveHistory *bool                      `json:"auto_save_history,omitempty"`

	// Tools are client-side tools of the bot that this question brings along, by name: see docs/tools.md.
	Tools map[string]ToolWebhook `json:"tools,omitempty"`

	// Refused says why the question cannot be asked: a file of it could not be uploaded. The worker ends the task as failed with
	// that, in its turn, without a call to Coze. See batches.Client.Correct.
	Refused *results.Failure `json:"refused,omitempty"`

	// OnTurnFailure decides about the later turns of the conversation if this one fails. With TurnSkip, the default, they
	// run. With TurnBlock they wait until the failed turn is retried (Options.InsteadOf) or canceled.
	OnTurnFailure string `json:"on_turn_failure,omitempty"`

	// Credential is the name of the worker's credential to ask with; empty: its default. It is never the secret.
	Credential string `json:"credential,omitempty"`

	// Stream publishes the answer's deltas too.
	Stream bool `json:"stream,omitempty"`

	// Tenant is who asks: the name of an API key, never the key. Empty where there are none. Tenants of one queue take
	// turns, see docs/fairness.md.
	Tenant string `json:"tenant,omitempty"`

	BatchID   string    `json:"batch_id,omitempty"`
	CustomID  string    `json:"custom_id,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // not asked after this moment

	// TraceParent is the W3C traceparent of the task's parent span. A malformed one is ignored.
	TraceParent string `json:"traceparent,omitempty"`

	// LaneSeq is the task's place in its lane. Enqueue sets it, so that the order survives if Redis loses the lane.
	LaneSeq int64 `json:"lane_seq,omitempty"`

	// Recorded is set by Enqueue, which creates the task's record first. A worker that finds no record
	// knows by it that the record was lost, with what it said of an earlier ask.
	Recorded bool `json:"recorded,omitempty"`
}

// ToolWebhook is a tool whose calls a worker posts to a URL, if that is one that its operator lets it call.
type ToolWebhook struct {
	URL    string `json:"url"`
	Secret string `json:"secret,omitempty"` // name of the secret that signs; empty: chosen as for the webhook of a task
}

// Values of Chat.OnTurnFailure.
const (
	TurnSkip  = "skip"
	TurnBlock = lane.Block // block
)

// Message is one message of a question.
type Message struct {
	Role        string            `json:"role"`                   // user, assistant
	Type        string            `json:"type,omitempty"`         // question, answer, ...
	Content     string            `json:"content"`                // text, or for object_string a JSON array
	ContentType string            `json:"content_type,omitempty"` // text (default), object_string
	MetaData    map[string]string `json:"meta_data,omitempty"`
}

// Ask returns a chat with one question in plain text.
func Ask(botID, question string) *Chat {
	return &Chat{BotID: botID, AdditionalMessages: []Message{Question(question)}}
}

// Question returns the message of a user's question in plain text.
func Question(text string) Message {
	return Message{Role: "user", Type: "question", Content: text, ContentType: "text"}
}

// Lane is the lane of the task's conversation, "" if it has none. Tasks of one lane run one at a time, in the order in which
// they were enqueued.
func (c *Chat) Lane() string {
	return lane.Of(c.Holder(), c.ConversationKey, c.ConversationID)
}

// Holder is whose ConversationKey it is: the bot's, or the app's that a chatflow is of.
func (c *Chat) Holder() string { return cmp.Or(c.BotID, c.AppID) }

// Record is the record of the task, as far as the payload has it.
func (c *Chat) Record(id, queue string) results.Result {
	return results.Result{
		ID:              id,
		CustomID:        c.CustomID,
		BatchID:         c.BatchID,
		Tenant:          c.Tenant,
		BotID:           c.BotID,
		WorkflowID:      c.WorkflowID,
		UserID:          c.UserID,
		ConversationID:  c.ConversationID,
		ConversationKey: c.ConversationKey,
		Queue:           queue,
		Lane:            c.Lane(),
	}
}

// maxInline bounds the messages in the queue, in bytes of JSON. asynq rewrites every active payload every 5 s.
const maxInline = 2 << 10

// previewRunes is how much of a longer question asynqmon shows.
const previewRunes = 200

func (c *Chat) encode() ([]byte, error) {
	wire := *c
	wire.V, wire.Recorded = Version, true
	payload, err := json.Marshal(&wire)
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	return payload, nil
}

// SplitBody takes messages out that are too long for the queue, or a workflow's parameters, leaves a Preview, and returns
// them. It returns nil if they are short. OpenBody puts them back.
func (c *Chat) SplitBody() (body []byte, err error) {
	if c.IsWorkflow() {
		return c.splitRun()
	}
	c.Chatflow = c.IsChatflow()
	body, err = json.Marshal(c.AdditionalMessages)
	if err != nil {
		return nil, fmt.Errorf("encode messages: %w", err)
	}
	if len(body) <= maxInline {
		return nil, nil
	}
	c.Preview = preview(c.AdditionalMessages[len(c.AdditionalMessages)-1].Content)
	c.AdditionalMessages = nil
	return body, nil
}

func preview(text string) string {
	n := 0
	for i := range text {
		if n == previewRunes {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// Decode reads a payload. One that does not decode is an *InvalidError. Chat.Open decrypts an encrypted one.
func Decode(payload []byte) (*Chat, error) {
	var c Chat
	if len(payload) > maxPayload {
		return nil, &InvalidError{Field: "payload", Reason: fmt.Sprintf("%d bytes, at most %d", len(payload), maxPayload)}
	}
	if !utf8.Valid(payload) {
		return nil, &InvalidError{Field: "payload", Reason: "not UTF-8"}
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, &InvalidError{Field: "payload", Reason: err.Error()}
	}
	if c.V != Version {
		return nil, &InvalidError{Field: "v", Reason: fmt.Sprintf("%d, but this worker reads version %d", c.V, Version)}
	}
	return &c, nil
}

// HasBody reports whether the messages are kept apart from the payload. For an encrypted chat call Open first.
func (c *Chat) HasBody() bool {
	return len(c.AdditionalMessages) == 0 && c.Preview != "" && (!c.IsWorkflow() || len(c.Parameters) == 0)
}

// SetBody puts messages back that were kept apart. OpenBody also decrypts them.
func (c *Chat) SetBody(body []byte) error {
	field, into := "additional_messages", any(&c.AdditionalMessages)
	if c.IsWorkflow() {
		field, into = "parameters", &c.Parameters
	}
	if len(body) == 0 {
		return &InvalidError{Field: field, Reason: "kept apart from the payload, and gone from Redis: enqueue the question again"}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &InvalidError{Field: field, Reason: err.Error()}
	}
	return nil
}
