package batch

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/results"
)

// journalVersion is the version of the journal that this package writes and reads.
const journalVersion = 1

// The lines of a journal that are no records say what they are in their field "cozeq".
const (
	entryRun   = "run"
	entryChat  = "chat"
	entryRetry = "retry"
)

// heading is the first line of a journal.
type heading struct {
	Cozeq   string `json:"cozeq"`
	Version int    `json:"version"`
	Run     string `json:"run"`
	Input   source `json:"input"`
}

// source is what makes an input the same as another.
type source struct {
	SHA256      string `json:"sha256"`
	Rows        int    `json:"rows"`
	Format      Format `json:"format"`
	QuestionCol string `json:"question_col,omitempty"`
	BotID       string `json:"bot_id,omitempty"` // of the rows that name none
}

func (in *Input) source(stats Stats) source {
	s := source{SHA256: stats.SHA256, Rows: stats.Rows, Format: in.format, BotID: in.options.BotID}
	if in.format == CSV || in.format == TSV {
		s.QuestionCol = in.options.QuestionCol
	}
	return s
}

// differs says how the source differs from the one that a run was begun with; "" = not at all.
func (s source) differs(begun source) string {
	switch {
	case s.SHA256 != begun.SHA256:
		return "its content has changed since"
	case s.Format != begun.Format:
		return fmt.Sprintf("it was read as %s, now as %s", begun.Format, s.Format)
	case s.QuestionCol != begun.QuestionCol:
		return fmt.Sprintf("the questions were in column %q, now in %q", begun.QuestionCol, s.QuestionCol)
	case s.BotID != begun.BotID:
		return fmt.Sprintf("the bot was %q, now %q", begun.BotID, s.BotID)
	}
	return ""
}

// chat is what is needed to go on with a chat in flight.
type chat struct {
	Cozeq           string       `json:"cozeq"`
	Row             int          `json:"row"`
	BotID           string       `json:"bot_id,omitempty"`
	ConversationID  string       `json:"conversation_id,omitempty"`
	ConversationKey string       `json:"conversation_key,omitempty"`
	ChatID          string       `json:"chat_id,omitempty"`
	AskedAt         results.Time `json:"asked_at,omitzero"`
}

// retry voids a row's record.
type retry struct {
	Cozeq string `json:"cozeq"`
	Row   int    `json:"row"`
	Ask   int    `json:"ask"` // the how manieth task of the row is the next, from 2
}

// entry is any line of a journal but the first.
type entry struct {
	Cozeq   string    `json:"cozeq"`
	Row     int       `json:"row"`
	Ask     int       `json:"ask"`
	AskedAt time.Time `json:"asked_at"`
	results.Result
}

func (e *entry) chat() chat {
	c := chat{
		Cozeq: entryChat, Row: e.Row, BotID: e.BotID,
		ConversationID: e.ConversationID, ConversationKey: e.ConversationKey, ChatID: e.ChatID,
	}
	if !e.AskedAt.IsZero() {
		c.AskedAt = results.At(e.AskedAt)
	}
	return c
}

// newRunID makes a run's name, of 50 random bits.
func newRunID() string { return strings.ToLower(rand.Text()[:10]) }

// taskID names the task of a row.
func taskID(run string, row, ask int) string {
	if ask > 1 {
		return fmt.Sprintf("%s-%d.%d", run, row, ask)
	}
	return fmt.Sprintf("%s-%d", run, row)
}

// parseTaskID takes a task's name apart.
func parseTaskID(id string) (run string, row, ask int, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i < 1 {
		return "", 0, 0, false
	}
	number, again, retried := strings.Cut(id[i+1:], ".")
	ask = 1
	row, err := strconv.Atoi(number)
	if err == nil && retried {
		ask, err = strconv.Atoi(again)
	}
	// Only the one spelling that taskID has is a name of ours.
	if err != nil || row < 1 || taskID(id[:i], row, ask) != id {
		return "", 0, 0, false
	}
	return id[:i], row, ask, true
}
