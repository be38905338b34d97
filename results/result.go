package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Result is one task's record: the hash, the message on the channel, a line of
// a batch's output. What is empty is left out of the JSON.
type Result struct {
	ID              string   `json:"id"`
	CustomID        string   `json:"custom_id,omitempty"`
	BatchID         string   `json:"batch_id,omitempty"`
	Tenant          string   `json:"tenant,omitempty"` // who asked: the name of an API key
	Status          Status   `json:"status"`
	Answer          string   `json:"answer,omitempty"`
	ContentType     string   `json:"content_type,omitempty"` // of an answer that is not text: card, audio, object_string
	Reasoning       string   `json:"reasoning,omitempty"`
	FollowUps       []string `json:"follow_ups,omitempty"`
	AsksBack        string   `json:"asks_back,omitempty"` // what the bot asks, and the next turn should answer; Answer has it, too
	Usage           *Usage   `json:"usage,omitempty"`
	Error           *Failure `json:"error,omitempty"`
	BotID           string   `json:"bot_id,omitempty"`
	UserID          string   `json:"user_id,omitempty"`
	ConversationID  string   `json:"conversation_id,omitempty"`
	ConversationKey string   `json:"conversation_key,omitempty"`
	ChatID          string   `json:"chat_id,omitempty"`

	// WorkflowID is the workflow that the task ran in place of a chat, or the chatflow that it asked. ExecuteID is a run's
	// id, which is also its ChatID, and DebugURL a page at Coze that shows a run, or a chatflow's chat, for 7 days. Interrupt
	// is set if the run waits for something.
	WorkflowID string     `json:"workflow_id,omitempty"`
	ExecuteID  string     `json:"execute_id,omitempty"`
	DebugURL   string     `json:"debug_url,omitempty"`
	Interrupt  *Interrupt `json:"interrupt,omitempty"`

	// Parts are the bot's answers with their types, in order, where there are several and
	// not all are text. Answer has the text of them.
	Parts []Part `json:"parts,omitempty"`

	// Attempts counts the asks that ended in anything but "wait": 1 for an
	// answer at the first attempt.
	Attempts int `json:"attempts,omitempty"`

	// PossibleDuplicate is true where the question may have been asked twice.
	PossibleDuplicate bool `json:"possible_duplicate,omitempty"`

	// OtherChatIDs are the chats that were made for the same question beside ChatID, as far
	// as they are known. They are billed, too, and PossibleDuplicate is set with them.
	OtherChatIDs []string `json:"other_chat_ids,omitempty"`

	// Sealed is set where texts of the result are encrypted and could not be read: they
	// are then the encrypted values as they stand in Redis. See Store.Keys.
	Sealed *SealedError `json:"sealed,omitempty"`

	// Cached is true where the answer is an earlier one to the same question, from a
	// cache of the asker's: nothing was asked, or billed. In an output only.
	Cached bool `json:"cached,omitempty"`

	// Warnings tell what the answer alone does not, such as that its
	// conversation had to be created again.
	Warnings []string `json:"warnings,omitempty"`

	CreatedAt   Time `json:"created_at,omitzero"`
	StartedAt   Time `json:"started_at,omitzero"`
	CompletedAt Time `json:"completed_at,omitzero"`

	// Queue is where the task waits and Lane the line of its conversation's
	// turns; both stand in the hash only.
	Queue string `json:"-"`
	Lane  string `json:"-"`

	// Digest tells whether a request with this id is the one that the task was made of: see
	// tasks.Options. In the hash only.
	Digest string `json:"-"`

	// TraceParent, a traceparent as W3C writes it, is the span that the task's spans
	// belong to where a worker had to make one. In the hash only.
	TraceParent string `json:"-"`

	// Spent is what Coze counted for the task's chats before the one that Usage is
	// of: they ended without an answer and are billed all the same. In the hash only.
	Spent Usage `json:"-"`
}

// Part is one of several answers.
type Part struct {
	ContentType string `json:"content_type"`
	Content     string `json:"content"`
}

// Interrupt is what a workflow's run waits for: see tasks.Resume.
type Interrupt struct {
	EventID string `json:"event_id"`
	Type    int    `json:"type"` // 2 a question, 5 input, 6 a client-side plugin, 7 an authorization
	Node    string `json:"node,omitempty"`

	// RequiredParameters describe the values that an input node wants, as Coze has them.
	RequiredParameters json.RawMessage `json:"required_parameters,omitempty"`
}

// Billed is what Coze counted for all of the task's chats.
func (r *Result) Billed() Usage {
	if r.Usage == nil {
		return r.Spent
	}
	return r.Spent.Plus(*r.Usage)
}

// Usage is what Coze counted, in tokens.
type Usage struct {
	TokenCount  int64 `json:"token_count"`
	OutputCount int64 `json:"output_count"`
	InputCount  int64 `json:"input_count"`
}

// Plus is the sum of both.
func (u Usage) Plus(other Usage) Usage {
	return Usage{
		TokenCount:  u.TokenCount + other.TokenCount,
		OutputCount: u.OutputCount + other.OutputCount,
		InputCount:  u.InputCount + other.InputCount,
	}
}

// Encode returns the result as one line of JSON without the newline. Unlike
// json.Marshal it leaves <, > and & as they are.
func (r *Result) Encode() ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(512 + len(r.Answer) + len(r.Reasoning))
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// Decode reads what Encode wrote of the task with this id, such as the message on [Channel], and
// decrypts it with keys, which may be nil: see [Parse].
func Decode(id string, message []byte, keys *Keys) (*Result, error) {
	r := new(Result)
	if err := json.Unmarshal(message, r); err != nil {
		return nil, fmt.Errorf("result of %s: %w", id, err)
	}
	r.open(keys, id)
	return r, nil
}

// Time is a moment as results keep it: RFC 3339, UTC, milliseconds.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At returns t as a Time.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

func (t Time) String() string { return t.UTC().Format(timeLayout) }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"`+timeLayout+`"`), nil
}

// parseTime reads what String wrote; anything else is the zero Time, as a
// foreign writer's slip in one hash must not make the whole record unreadable.
func parseTime(s string) Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Time{}
	}
	return At(t)
}
