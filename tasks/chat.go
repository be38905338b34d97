package tasks

import (
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

// Chat is the payload of a chat task. Field names and shapes are Coze's where
// POST /v3/chat has the field.
type Chat struct {
	V      int    `json:"v"`
	BotID  string `json:"bot_id,omitempty"`  // empty: the worker's default bot
	UserID string `json:"user_id,omitempty"` // empty: DefaultUserID

	// AdditionalMessages is what is asked; the last one is the question. It is
	// empty in the queue where the messages are kept apart: see Preview.
	AdditionalMessages []Message `json:"additional_messages,omitempty"`

	// Preview is the beginning of a question that is too long for the queue.
	Preview string `json:"preview,omitempty"`

	// Sealed is what people wrote, encrypted, in the place of AdditionalMessages, Preview,
	// CustomVariables, Parameters, ExtraParams and MetaData. Set by a Client whose store
	// has keys; see Open.
	Sealed string `json:"sealed,omitempty"`

	// ConversationID goes on in a conversation of Coze's. ConversationKey names
	// one of the caller's: created at its first turn, reused after. At most one
	// of the two is set; with neither the task has a conversation of its own.
	ConversationID  string `json:"conversation_id,omitempty"`
	ConversationKey string `json:"conversation_key,omitempty"`

	CustomVariables map[string]string          `json:"custom_variables,omitempty"`
	Parameters      map[string]json.RawMessage `json:"parameters,omitempty"`
	ExtraParams     map[string]string          `json:"extra_params,omitempty"`
	MetaData        map[string]string          `json:"meta_data,omitempty"`
	AutoSaveHistory *bool                      `json:"auto_save_history,omitempty"`

	// OnTurnFailure says what becomes of the conversation's later turns when this one
	// fails: TurnSkip, the default, lets them go on; with TurnBlock they wait until
	// the failed one is asked again or canceled.
	OnTurnFailure string `json:"on_turn_failure,omitempty"`

	// Credential names the one of the worker's credentials to ask with; empty: its
	// default one. Never the secret itself.
	Credential string `json:"credential,omitempty"`

	// Stream publishes the answer's deltas too.
	Stream bool `json:"stream,omitempty"`

	BatchID   string    `json:"batch_id,omitempty"`
	CustomID  string    `json:"custom_id,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // not asked after this moment

	// TraceParent, a traceparent as W3C writes it, is whose span the task belongs to.
	// One that is not well formed is as good as none.
	TraceParent string `json:"traceparent,omitempty"`

	// LaneSeq is the task's place in its lane, set by Enqueue: enough to put the
	// turns in order again if Redis loses the lane.
	LaneSeq int64 `json:"lane_seq,omitempty"`

	// Recorded is set by Enqueue, which creates the task's record first. A worker that finds no record
	// knows by it that the record was lost, with what it said of an earlier ask.
	Recorded bool `json:"recorded,omitempty"`
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

// Lane names the line in which the task waits for its turn; "" = it need not
// wait. Tasks of one lane run one at a time in the order of enqueueing.
func (c *Chat) Lane() string {
	return lane.Of(c.BotID, c.ConversationKey, c.ConversationID)
}

// Record is the task's result as far as its payload tells.
func (c *Chat) Record(id, queue string) results.Result {
	return results.Result{
		ID:              id,
		CustomID:        c.CustomID,
		BatchID:         c.BatchID,
		BotID:           c.BotID,
		UserID:          c.UserID,
		ConversationID:  c.ConversationID,
		ConversationKey: c.ConversationKey,
		Queue:           queue,
		Lane:            c.Lane(),
	}
}

// maxInline is the most bytes of messages, as JSON, that travel in the queue:
// asynq writes every active payload again at each heartbeat, every 5 s.
const maxInline = 2 << 10

// previewRunes is how much of a longer question is left to read in asynqmon.
const previewRunes = 200

// encode returns the queue's payload.
func (c *Chat) encode() ([]byte, error) {
	wire := *c
	wire.V, wire.Recorded = Version, true
	payload, err := json.Marshal(&wire)
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	return payload, nil
}

// SplitBody leaves the messages in their place, and returns nothing, unless they are too long
// for the queue's payload: then they are returned, to be kept apart. See OpenBody.
func (c *Chat) SplitBody() (body []byte, err error) {
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

// Decode reads a payload. What does not decode is an *InvalidError. One that is encrypted
// is read as far as it can be without a key: see Chat.Open.
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

// HasBody reports whether the messages are kept apart from the payload. Of one that is
// encrypted it knows only after Open.
func (c *Chat) HasBody() bool { return len(c.AdditionalMessages) == 0 && c.Preview != "" }

// SetBody puts the messages that were kept apart back in their place. See OpenBody for
// those that may be encrypted.
func (c *Chat) SetBody(body []byte) error {
	if len(body) == 0 {
		return &InvalidError{Field: "additional_messages", Reason: "kept apart from the payload, and gone from Redis: enqueue the question again"}
	}
	if err := json.Unmarshal(body, &c.AdditionalMessages); err != nil {
		return &InvalidError{Field: "additional_messages", Reason: err.Error()}
	}
	return nil
}
