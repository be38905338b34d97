package journal

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

const version = 1

// The field "cozeq" of the lines that are not records.
const (
	entryRun    = "run"
	entryChat   = "chat"
	entryRetry  = "retry"
	entrySpent  = "spent"
	entryFed    = "fed"
	entryLimits = "limits"
	entryTaken  = "taken"
	entryUpload = "upload"
)

// heading is the first line of a journal.
type heading struct {
	Cozeq   string       `json:"cozeq"`
	Version int          `json:"version"`
	Run     string       `json:"run"`
	Input   input.Source `json:"input"`
}

// Chat is what is needed to look up a chat in flight.
type Chat struct {
	Cozeq           string       `json:"cozeq"` // Note sets it
	Row             int          `json:"row"`
	BotID           string       `json:"bot_id,omitempty"`
	ConversationID  string       `json:"conversation_id,omitempty"`
	ConversationKey string       `json:"conversation_key,omitempty"`
	ChatID          string       `json:"chat_id,omitempty"`
	AskedAt         results.Time `json:"asked_at,omitzero"`

	Tools json.RawMessage `json:"tools,omitempty"` // what is noted of the tools that it has called
}

// begun reports whether the question was sent, or about to be. If not, the asked note was taken back.
func (c Chat) begun() bool { return c.ChatID != "" || !c.AskedAt.IsZero() }

// retry voids a row's record.
type retry struct {
	Cozeq string `json:"cozeq"`
	Row   int    `json:"row"`
	Ask   int    `json:"ask"` // the number of the row's next task, from 2

	Usage *results.Usage `json:"usage,omitempty"` // what the void record was billed

	PossibleDuplicate bool `json:"possible_duplicate,omitempty"` // as the void record says
}

// spent is what a row was billed beyond the usage in its record, for chats that ended without an answer.
type spent struct {
	Cozeq string        `json:"cozeq"`
	Row   int           `json:"row"`
	Usage results.Usage `json:"usage"`
}

// rowEntry is an entry that says something of a row: with entryFed that the rows up to this one were given to a shared Redis,
// with entryTaken that the command of --on-result has acknowledged its record.
type rowEntry struct {
	Cozeq string `json:"cozeq"`
	Row   int    `json:"row"`
}

// limits are the rates that were learnt so far, in calls a second, by the hash of the credential.
type limits struct {
	Cozeq  string             `json:"cozeq"`
	Limits map[string]float64 `json:"limits"`
}

// entry is any line of a journal but the first.
type entry struct {
	Cozeq   string             `json:"cozeq"`
	Row     int                `json:"row"`
	Ask     int                `json:"ask"`
	AskedAt time.Time          `json:"asked_at"`
	Limits  map[string]float64 `json:"limits"`
	Content string             `json:"content"`
	FileID  string             `json:"file_id"`
	At      results.Time       `json:"at"`
	Tools   json.RawMessage    `json:"tools"`
	results.Result
}

func (e *entry) chat() Chat {
	c := Chat{
		Row: e.Row, BotID: e.BotID,
		ConversationID: e.ConversationID, ConversationKey: e.ConversationKey, ChatID: e.ChatID, Tools: e.Tools,
	}
	if !e.AskedAt.IsZero() {
		c.AskedAt = results.At(e.AskedAt)
	}
	return c
}

// NewRunID makes a run's name, of 50 random bits.
func NewRunID() string { return strings.ToLower(rand.Text()[:10]) }
