package coze

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Causes that Error.Err may be or wrap where the failure is not a refusal by Coze.
var (
	ErrTruncated     = errors.New("the stream ended before its last event")
	ErrIdle          = errors.New("no event came for too long")
	ErrNoReply       = errors.New("the server took the request and did not answer")
	ErrEventTooLarge = errors.New("an event is larger than the limit")

	// ErrStoodStill means that the question was not sent: see ChatRequest.BeforeSend.
	ErrStoodStill = errors.New("the process stood still before the question was sent, and did not send it")

	// ErrAnswerTooLarge means that each event was within the limit, but not their sum.
	ErrAnswerTooLarge = errors.New("an answer is larger than the limit")

	// ErrAsksBack means that the bot waits for the user's reply in the same conversation.
	ErrAsksBack = errors.New("the bot asks back")

	// ErrInterrupted means that a workflow waits for something, such as a person's answer: see WorkflowRun.Interrupt.
	ErrInterrupted = errors.New("the workflow is interrupted")
)

// Scope is what a pause for a failure has to cover.
type Scope string

// The scopes; "" is the task alone.
const (
	ScopeBot     Scope = "bot"
	ScopeAccount Scope = "account"
)

// Zone is how far the call that begins a chat or a workflow's run had come when it failed, or the submission of tool outputs.
// None is idempotent, so the zone decides what may follow.
type Zone uint8

// The zones.
const (
	ZoneRefused Zone = iota // no chat was made, no output taken: ask again, by class
	ZoneUnknown             // sent, but no chat is known, or whether it took the outputs: one may be running
	ZoneCreated             // a chat was made, or goes on: look it up, do not ask again
)

// String names a zone.
func (z Zone) String() string {
	switch z {
	case ZoneRefused:
		return "refused"
	case ZoneUnknown:
		return "unknown"
	case ZoneCreated:
		return "created"
	}
	return "zone " + strconv.Itoa(int(z))
}

// maxMessage bounds Error.Message in bytes: logs, tables and stored results hold it.
const maxMessage = 500

// Error is any failure of this package. It never holds a token.
type Error struct {
	Op             string        // "chat", "chat/retrieve", ...
	Status         int           // HTTP status, 0 = none
	Code           int           // Coze's code, 0 = none
	Message        string        // what Coze said, or what happened; at most 500 bytes of valid UTF-8 on one line
	LogID          string        // Coze's id of the request: its support asks for it
	RetryAfter     time.Duration // as the server asked, 0 = it did not
	Class          Class
	Scope          Scope
	Zone           Zone   // for CreateChat, Stream, Events and Chat.Err
	Unreached      bool   // there was no connection (a name, a network, a proxy) or no reply (ErrNoReply)
	Ended          bool   // the chat is known to have ended: no lookup is needed
	ConversationID string // "" = not known yet
	ChatID         string // "" = not known yet
	Err            error  // the cause, nil if there is only Coze's reply

	hint string
}

// Error is one line: `coze 4013 (rate): model busy logid=2026...`, or without a code
// `coze chat http 502 (transient): ...`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("coze ")
	if e.Code != 0 {
		b.WriteString(strconv.Itoa(e.Code))
	} else {
		b.WriteString(e.Op)
		if e.Status >= 300 {
			b.WriteString(" http ")
			b.WriteString(strconv.Itoa(e.Status))
		}
	}
	b.WriteString(" (")
	b.WriteString(string(e.Class))
	b.WriteString(")")
	switch {
	case e.Message != "":
		b.WriteString(": ")
		b.WriteString(e.Message)
	case e.Err != nil:
		b.WriteString(": ")
		b.WriteString(bounded(e.Err.Error(), maxMessage))
	}
	if e.LogID != "" {
		b.WriteString(" logid=")
		b.WriteString(e.LogID)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint is one English sentence about what a person can do, "" if there is nothing to do.
func (e *Error) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	return e.Class.Hint().EN
}

// WithHint returns the error with another hint, for a TokenSource that knows better.
func (e *Error) WithHint(hint string) *Error {
	own := *e
	own.hint = hint
	return &own
}

// judge sets class, scope and hint by the table of codes.
func (e *Error) judge(codes *CodeTable) {
	if codes == nil {
		codes = DefaultCodes()
	}
	row := codes.Classify(e.Code, e.Status)
	e.Class, e.Scope, e.hint = row.Class, row.Scope, row.Hint.EN
}

// bounded makes s one line of valid UTF-8 without control characters, at most limit bytes.
func bounded(s string, limit int) string {
	if len(s) > 4*limit { // no need to clean what is cut off
		s = s[:4*limit]
	}
	s = strings.Join(strings.FieldsFunc(valid(s), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(s) <= limit {
		return s
	}
	cut := limit - len("...")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
