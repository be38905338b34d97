package cozetest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Kind is what goes wrong. The empty Kind is no fault at all, for rules that
// only shape the answer.
type Kind string

// The faults. Those of the first group leave no chat behind, unless Created, or
// After of the last two, says otherwise.
const (
	Refuse  Kind = "refuse"  // an envelope with Code, at HTTP Status (200)
	Limit   Kind = "limit"   // HTTP 429 with Retry-After (For), an envelope with Code (4013)
	Expired Kind = "expired" // the conversation is gone: envelope with Code (4002)
	Gateway Kind = "gateway" // HTML of a proxy with Status (502)
	Hangup  Kind = "hangup"  // the connection ends before the first byte of the reply
	Bare    Kind = "bare"    // after After events, an unframed JSON envelope with Code inside the event stream
	Error   Kind = "error"   // an `error` event with Code after After events; 0 makes it the first and only one

	Fail     Kind = "fail"      // chat.failed with last_error Code (5000), after After events (2)
	FailFlat Kind = "fail_flat" // chat.failed with the flat data {"code":"...","msg":"..."}
	Cut      Kind = "cut"       // the stream ends after After events, or after Bytes bytes
	Stall    Kind = "stall"     // silence after After events, For long; 0: for ever
	Drip     Kind = "drip"      // after After events only comments, one each Pace (1s), for ever
	Endless  Kind = "endless"   // deltas each Pace (1s) that never end
	Action   Kind = "action"    // requires_action with a tool call
	AskBack  Kind = "ask_back"  // after its answer the bot waits for the user's next words: requires_action, reply_message
	Move     Kind = "move"      // the chat runs in a fresh conversation, not the one asked for
	Envelope Kind = "envelope"  // the chat runs, and the reply is its JSON in place of a stream
	Stray    Kind = "stray"     // the stream has the events of another conversation's chat alone
)

var kinds = []Kind{"", Refuse, Limit, Expired, Gateway, Hangup, Bare, Error, Fail, FailFlat, Cut, Stall, Drip, Endless, Action, AskBack, Move, Envelope, Stray}

// End is how a chat ends behind a stream that did not show its end.
type End string

// The ends. The empty End is Completed for Cut, Stall, Hangup and Gateway, and
// Failed for Bare and Error.
const (
	Completed End = "completed"
	Failed    End = "failed"
	Canceled  End = "canceled"
	Running   End = "running" // it never ends
)

// Fault is what happens to an ask: a Kind with its particulars, and the shape of
// the answer, which may be changed with or without a fault.
type Fault struct {
	Kind Kind

	// Code and Msg are Coze's error. 0 and "" take the kind's defaults; for Error
	// a code of 0 sends the data {}.
	Code int
	Msg  string
	// Status is the HTTP status of Refuse, Limit, Expired and Gateway.
	Status int
	// For is the length of a Stall, the silence before a Hangup or Gateway, and
	// Retry-After of Limit: whole seconds, as an HTTP date when Date is set; 0
	// sends no header.
	For  time.Duration
	Date bool
	// After counts the events that are sent whole before the fault. A number
	// past the last event means that the fault never happens.
	After int
	// Bytes cuts after so many bytes of the body, wherever that is.
	Bytes int
	// MidJSON makes a Cut end in the middle of the next event's data.
	MidJSON bool
	// Reset breaks the connection at a Cut, where a plain one ends the body as a
	// finished reply would.
	Reset bool
	// Created makes Hangup and Gateway accept the chat before they fail.
	Created bool
	// Then is how the chat ends behind the fault, Behind later than it would have.
	Then   End
	Behind time.Duration

	// Lines is a comma-separated list of liberties with the event stream's form:
	// crlf, cr, mixed (CRLF after event lines, LF after data lines), space (one
	// after the colon), bom, comments (comments, ids, pings and unknown fields
	// between the events), multi (JSON over several data lines), swap (data
	// before event), bytes (a flush after every byte), nofinal (no newline after
	// the last data).
	Lines string
	// Done is the last event's form: "" for "[DONE]" (debug_url for a chatflow), or bare, empty, debug_url,
	// stream.done, none.
	Done string
	// Pace and Latency replace the configured DeltaPace and Latency.
	Pace, Latency time.Duration
	// Deltas replaces the configured number of deltas.
	Deltas int
	// Answer replaces the answer's text, Size its length in bytes.
	Answer string
	Size   int
	// Answers is the number of answers, each with an id of its own (1).
	Answers int
	// Tool makes the chat wait for the outputs of these tools, names with commas
	// between them, before it answers. Action without it calls get_weather. There
	// are Rounds (1) of that, each with the same Arguments, and the bot Says
	// something before each. Kinds other than Action concern the question's own
	// stream; a rule On submit is about the one that goes on.
	Tool, Arguments, Says string
	Rounds                int
	// Empty leaves the answer out: the chat completes with no answer message.
	Empty bool
	// Reasoning sends reasoning deltas before the answer.
	Reasoning bool
	// Type is the content type of the answers ("text").
	Type string
	// Unnamed leaves created and in_progress out of the stream.
	Unnamed bool
	// Strays mixes the events of another chat into the stream, its end too.
	Strays bool
}

var doneForms = []string{"", "bare", "empty", "debug_url", "stream.done", "none"}

// check reports the first thing that makes no sense.
func (f *Fault) check() error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("unknown fault %q; one of %q", f.Kind, kinds[1:])
	case !slices.Contains([]End{"", Completed, Failed, Canceled, Running}, f.Then):
		return fmt.Errorf("then %q; one of completed, failed, canceled, running", f.Then)
	case !slices.Contains(doneForms, f.Done):
		return fmt.Errorf("done %q; one of %q", f.Done, doneForms[1:])
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is no HTTP status of a reply", f.Status)
	case f.Status == http.StatusNoContent && f.Kind != "":
		return fmt.Errorf("status 204 cannot carry a body")
	case f.After < 0 || f.Bytes < 0 || f.Size < 0 || f.Answers < 0 || f.Deltas < 0 || f.Rounds < 0:
		return fmt.Errorf("after, bytes, size, answers, deltas and rounds count from 0")
	case f.For < 0 || f.Pace < 0 || f.Latency < 0 || f.Behind < 0:
		return fmt.Errorf("for, pace, latency and behind are not negative")
	case f.Size > maxSize:
		return fmt.Errorf("size %d is over %d bytes", f.Size, maxSize)
	}
	_, err := parseFraming(f.Lines)
	return err
}

// maxSize bounds an answer, so that a question cannot exhaust the fake's memory.
const maxSize = 64 << 20

// refuses tells whether no chat comes to be.
func (f *Fault) refuses() bool {
	switch f.Kind {
	case Refuse, Limit, Expired:
		return true
	case Gateway, Hangup:
		return !f.Created
	case Error, Bare:
		return f.After == 0 && f.Then == ""
	}
	return false
}

// code is Code or the kind's default.
func (f *Fault) code() int {
	own := map[Kind]int{Limit: codeModel, Expired: codeConversation}
	return cmp.Or(f.Code, own[f.Kind], codeInternal)
}

func (f *Fault) msg() string { return cmp.Or(f.Msg, message(f.code())) }

// after is where the fault strikes. chat.failed comes after created and
// in_progress unless told otherwise.
func (f *Fault) after() int {
	switch f.Kind {
	case Fail, FailFlat:
		if f.After == 0 && !f.Unnamed {
			return 2
		}
		return f.After
	case Cut:
		if f.Bytes > 0 {
			return -1
		}
		return f.After
	case Stall, Error, Bare, Drip:
		return f.After
	}
	return -1
}

// end is how the chat ends when left alone.
func (f *Fault) end() End {
	switch f.Kind {
	case Fail, FailFlat:
		return Failed
	case Endless, Drip:
		return Running
	case Bare, Error:
		if f.Then == "" {
			return Failed
		}
	}
	if f.Then == "" {
		return Completed
	}
	return f.Then
}
