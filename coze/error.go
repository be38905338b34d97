package coze

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What Error.Err may be, or wrap, where it is not Coze that refused: the client ended a stream or did not begin one, or a
// bot waits.
var (
	ErrTruncated     = errors.New("the stream ended before its last event")
	ErrIdle          = errors.New("no event came for too long")
	ErrNoReply       = errors.New("the server took the request and did not answer")
	ErrEventTooLarge = errors.New("an event is larger than the limit")

	// ErrStoodStill is of a question that was not sent: see ChatRequest.BeforeSend.
	ErrStoodStill = errors.New("the process stood still before the question was sent, and did not send it")

	// ErrAnswerTooLarge is of events that are each within the limit, and go on and on.
	ErrAnswerTooLarge = errors.New("an answer is larger than the limit")

	// ErrAsksBack is of a chat whose bot waits for the user's next words, in the same conversation.
	ErrAsksBack = errors.New("the bot asks back")
)

// Scope is what a pause for a failure would have to cover.
type Scope string

// The scopes; "" is the task alone.
const (
	ScopeBot     Scope = "bot"
	ScopeAccount Scope = "account"
)

// Zone is how far a POST /v3/chat had come when it failed. The call is not idempotent, so this decides what may follow.
type Zone uint8

// The zones.
const (
	ZoneRefused Zone = iota // no chat was made: ask again, by class
	ZoneUnknown             // sent, and no word of a chat: one may be running
	ZoneCreated             // a chat was made: look it up, do not ask again
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

// maxMessage bounds Error.Message, in bytes: it ends up in logs, tables and stored results.
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
	Unreached      bool   // no connection came about (a name, a network, a proxy), or no reply (ErrNoReply)
	Ended          bool   // the chat is known to have ended: no need to look it up
	ConversationID string // once Coze told
	ChatID         string // once Coze told
	Err            error  // the cause, nil where Coze's word is all there is

	hint string
}

// Error says it in one line: `coze 4013 (rate): model busy logid=2026...`, or without a code
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

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint is one sentence, in English, on what a person can do about it, "" where there is nothing to do.
func (e *Error) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	return e.Class.Hint().EN
}

// WithHint is the error with other advice, for a TokenSource whose failures have remedies of their own.
func (e *Error) WithHint(hint string) *Error {
	own := *e
	own.hint = hint
	return &own
}

// judge sets what the table says of the error's code and status.
func (e *Error) judge(codes *CodeTable) {
	if codes == nil {
		codes = DefaultCodes()
	}
	row := codes.Classify(e.Code, e.Status)
	e.Class, e.Scope, e.hint = row.Class, row.Scope, row.Hint.EN
}

// bounded makes text fit for one line of a log: valid UTF-8, no control characters, at most limit bytes.
func bounded(s string, limit int) string {
	if len(s) > 4*limit { // what is cut off anyway need not be cleaned
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
