package results

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Failure says why a task has no answer, or not yet. It is an error: see [Result.Err].
type Failure struct {
	Code    int    `json:"code,omitempty"` // Coze's code; 0 = none
	Class   string `json:"class"`
	Message string `json:"message,omitempty"`
	LogID   string `json:"logid,omitempty"` // Coze's id of the request, for its support
	Hint    string `json:"hint,omitempty"`  // what to do

	// Unencrypted is set by a writer whose Message is cozeq's own text and quotes no user
	// and no bot: people without the key can read it.
	Unencrypted bool `json:"-"`
}

// Error returns code, class and message, such as "4013 (rate): too many requests".
func (f *Failure) Error() string {
	text := f.Class
	if f.Code != 0 {
		text = fmt.Sprintf("%d (%s)", f.Code, f.Class)
	}
	if f.Message != "" {
		text += ": " + f.Message
	}
	return text
}

// ParseFailure reads back what Failure.Error has made; nil if the text is no such one.
func ParseFailure(text string) *Failure {
	f := &Failure{}
	head, message, _ := strings.Cut(text, ": ")
	if code, class, ok := strings.Cut(head, " ("); ok {
		n, err := strconv.Atoi(code)
		if err != nil || !strings.HasSuffix(class, ")") {
			return nil
		}
		f.Code, head = n, strings.TrimSuffix(class, ")")
	}
	if !slices.Contains(classes, error(classError(head))) {
		return nil
	}
	f.Class, f.Message = head, message
	return f
}

// Is reports whether target is the sentinel of the failure's class: see [ErrInvalid].
func (f *Failure) Is(target error) bool {
	class, ok := target.(classError)
	return ok && string(class) == f.Class
}

// The classes of failures, for errors.Is. The code, the message and the hint are in the
// *Failure, for errors.As.
var (
	ErrInvalid   error = classError("invalid")   // refused by cozeq's own checks: nothing was asked
	ErrPermanent error = classError("permanent") // the same question will fail again
	ErrAuth      error = classError("auth")      // token, permission or account
	ErrQuota     error = classError("quota")     // a quota or a balance is used up
	ErrEndpoint  error = classError("endpoint")  // something else than Coze's API answers at the base URL
	ErrRate      error = classError("rate")      // too many requests at this moment
	ErrBusy      error = classError("busy")      // another chat is active in the conversation
	ErrTransient error = classError("transient") // likely to pass
	ErrTruncated error = classError("truncated") // the stream ended early, and the answer could not be recovered
	ErrAction    error = classError("action")    // the bot wants a client-side tool
	ErrTimeout   error = classError("timeout")   // a deadline or the longest silence was passed
	ErrCanceled  error = classError("canceled")  // by Cancel, or at Coze
	ErrExpired   error = classError("expired")   // not asked before its ExpiresAt
)

var classes = []error{
	ErrInvalid, ErrPermanent, ErrAuth, ErrQuota, ErrEndpoint, ErrRate, ErrBusy, ErrTransient, ErrTruncated, ErrAction, ErrTimeout, ErrCanceled,
	ErrExpired,
}

type classError string

func (c classError) Error() string { return string(c) }

// Err returns nil for a task that has its answer, and for one that has not ended. Else it
// returns a *Failure, or a *SealedError if the texts of the result are encrypted and the
// store has no key for them.
func (r *Result) Err() error {
	switch {
	case r.Sealed != nil:
		return r.Sealed
	case !r.Status.Terminal() || r.Status == Completed:
		return nil
	case r.Error != nil:
		return r.Error
	}
	return &Failure{Class: string(r.Status)} // written by another program
}
