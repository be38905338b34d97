package journal

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/results"
)

// journalVersion is the version of the journal that this package writes and reads.
const journalVersion = 1

// The lines of a journal that are no records say what they are in their field "cozeq".
const (
	entryRun    = "run"
	EntryChat   = "chat"
	entryRetry  = "retry"
	entrySpent  = "spent"
	entryFed    = "fed"
	entryLimits = "limits"
)

// heading is the first line of a journal.
type heading struct {
	Cozeq   string       `json:"cozeq"`
	Version int          `json:"version"`
	Run     string       `json:"run"`
	Input   input.Source `json:"input"`
}

// chat is what is needed to go on with a chat in flight.
type Chat struct {
	Cozeq           string       `json:"cozeq"`
	Row             int          `json:"row"`
	BotID           string       `json:"bot_id,omitempty"`
	ConversationID  string       `json:"conversation_id,omitempty"`
	ConversationKey string       `json:"conversation_key,omitempty"`
	ChatID          string       `json:"chat_id,omitempty"`
	AskedAt         results.Time `json:"asked_at,omitzero"`
}

// begun tells a question that was sent, or about to be, from one whose asking was taken back.
func (c Chat) begun() bool { return c.ChatID != "" || !c.AskedAt.IsZero() }

// retry voids a row's record.
type retry struct {
	Cozeq string `json:"cozeq"`
	Row   int    `json:"row"`
	Ask   int    `json:"ask"` // the how manieth task of the row is the next, from 2

	Usage *results.Usage `json:"usage,omitempty"` // what the void record was billed

	PossibleDuplicate bool `json:"possible_duplicate,omitempty"` // as the void record says
}

// spent is what a row was billed beyond the usage in its record, for chats that ended without an answer.
type spent struct {
	Cozeq string        `json:"cozeq"`
	Row   int           `json:"row"`
	Usage results.Usage `json:"usage"`
}

// fed says how far rows were given to a shared Redis.
type fed struct {
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
	results.Result
}

func (e *entry) chat() Chat {
	c := Chat{
		Cozeq: EntryChat, Row: e.Row, BotID: e.BotID,
		ConversationID: e.ConversationID, ConversationKey: e.ConversationKey, ChatID: e.ChatID,
	}
	if !e.AskedAt.IsZero() {
		c.AskedAt = results.At(e.AskedAt)
	}
	return c
}

// newRunID makes a run's name, of 50 random bits.
func NewRunID() string { return strings.ToLower(rand.Text()[:10]) }
