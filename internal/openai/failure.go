package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Error is an error in OpenAI's shape.
type Error struct {
	Status  int    // of HTTP
	Message string // what is wrong, where, and what to do
	Type    string // "" = server_error from status 500 on, and invalid_request_error below
	Param   string // the parameter that is wrong; "" = null
	Code    string // "" = null

	// Retry is the header x-should-retry, which beats the status for OpenAI's SDKs: true, false, or "" = none.
	Retry string

	// RetryAfter is the header of this name, at most maxRetryAfter; 0: none.
	RetryAfter time.Duration

	// Failure is the failure of the task, if that is what the error is about.
	Failure *results.Failure

	// Lines are those of a file that are wrong.
	Lines []Line
}

// Line is what is wrong with a line of a file. N is 0 where the file as a whole is wrong.
type Line struct {
	N       int
	Message string
}

// maxRetryAfter is the longest wait that all SDKs obey. Above 60 s the one for Node falls back to half a second, above 120 s
// the one for Python gives up.
const maxRetryAfter = time.Minute

// The types of errors.
const (
	typeRequest = "invalid_request_error"
	typeRate    = "rate_limit_exceeded"
	typeQuota   = "insufficient_quota"
	typeServer  = "server_error"
)

// Values of Error.Retry.
const (
	RetryYes = "true"
	RetryNo  = "false"
)

func (e *Error) Error() string {
	if e.Param != "" {
		return e.Param + ": " + e.Message
	}
	return e.Message
}

// MarshalJSON implements json.Marshaler: {"error": {...}} with all keys that OpenAI's schema requires.
func (e *Error) MarshalJSON() ([]byte, error) { return messages.Encode(Object{"error": e.object()}) }

func (e *Error) object() Object {
	kind := typeRequest
	if e.Status >= http.StatusInternalServerError {
		kind = typeServer
	}
	o := Object{"message": e.Message, "type": cmp.Or(e.Type, kind), "param": OrNull(e.Param), "code": OrNull(e.Code)}
	if f := e.Failure; f != nil {
		o["cozeq"] = f
	}
	if e.Lines != nil { // as a batch of OpenAI's has them
		data := make([]Object, len(e.Lines))
		for i, l := range e.Lines {
			data[i] = Object{"code": "invalid_request", "line": OrNull(l.N), "message": l.Message, "param": nil}
		}
		o["errors"] = Object{"object": "list", "data": data}
	}
	return o
}

func Bad(param, code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: typeRequest, Param: param, Code: code, Message: fmt.Sprintf(format, args...)}
}

// WriteError answers with an error, of whatever kind it is. The gateway uses it too, for what it refuses under /v1.
func WriteError(w http.ResponseWriter, err error) {
	e := errorOf(err)
	h := w.Header()
	if e.Retry != "" {
		h.Set("x-should-retry", e.Retry)
	}
	if e.RetryAfter > 0 {
		seconds := math.Ceil(min(e.RetryAfter, maxRetryAfter).Seconds())
		h.Set("Retry-After", strconv.FormatFloat(seconds, 'f', 0, 64))
	}
	WriteJSON(w, e.Status, e)
}

func errorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tasks.InvalidError](err); ok {
		return Bad(paramOf(e.Field), "invalid_value", "%s", e)
	}
	if e, ok := errors.AsType[*submit.ConflictError](err); ok {
		if e.Key {
			return &Error{Status: http.StatusUnprocessableEntity, Code: "idempotency_key_reused", Message: e.Error()}
		}
		return &Error{Status: http.StatusConflict, Code: "conflict", Message: e.Error(), Retry: RetryNo}
	}
	if e, ok := errors.AsType[*submit.UnavailableError](submit.Unavailable(err)); ok {
		return &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: e.Error(), Retry: RetryYes, RetryAfter: e.RetryAfter}
	}
	if e, ok := errors.AsType[*submit.PausedError](err); ok {
		return heldError(e.Hold)
	}
	if e, ok := errors.AsType[*apikey.LimitError](err); ok {
		return &Error{Status: http.StatusTooManyRequests, Type: typeRate, Code: "rate_limit_exceeded", Message: e.Error(), Retry: RetryYes, RetryAfter: max(e.RetryAfter, time.Second)}
	}
	if e, ok := errors.AsType[*apikey.ForbiddenError](err); ok {
		return &Error{Status: http.StatusForbidden, Code: "permission_denied", Message: e.Error(), Retry: RetryNo}
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "request_too_large",
			Message: "the body is larger than " + strconv.FormatInt(e.Limit, 10) + " bytes"}
	}
	if e, ok := errors.AsType[*results.SealedError](err); ok {
		return &Error{Status: http.StatusInternalServerError, Code: "encrypted", Message: e.Error(), Retry: RetryNo}
	}
	if e, ok := errors.AsType[*results.Failure](err); ok {
		return failed(e)
	}
	switch {
	case errors.Is(err, results.ErrNotFound):
		return &Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is nothing of this id, or it is kept no longer"}
	case errors.Is(err, context.Canceled): // nobody reads it
		return &Error{Status: http.StatusRequestTimeout, Code: "gone", Message: "the client has hung up"}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "cozeq serve failed: its log says more"}
}

func paramOf(field string) string {
	switch {
	case strings.HasPrefix(field, "additional_messages"):
		return "messages"
	case strings.HasPrefix(field, "meta_data"):
		return "metadata" + strings.TrimPrefix(field, "meta_data")
	case field == "bot_id":
		return "model"
	case field == "user_id":
		return "user"
	case field == "payload":
		return ""
	}
	return field
}

// Codes of Coze that have a meaning of their own at OpenAI.
var (
	filtered  = []int{4014, 4105, 700012050, 702095075, 702095081}
	cutShort  = []int{702232007, 702112107}
	tooLong   = []int{4010, 702112107}
	noSuchBot = []int{4006, 4015, 702242003, 103100002}
)

// failed is the failure of a task that has ended. The queue has tried whatever may help, and the same request would only
// find the ended task: no SDK is to retry it by itself.
func failed(f *results.Failure) *Error {
	e := &Error{Status: http.StatusBadRequest, Type: typeRequest, Retry: RetryNo, Failure: f, Message: cmp.Or(f.Message, "the task ended as "+f.Class)}
	if f.Hint != "" {
		e.Message = strings.TrimSuffix(e.Message, ".") + ". " + f.Hint
	}
	e.Code = f.Class
	if f.Code != 0 {
		e.Code = "coze_" + strconv.Itoa(f.Code)
	}
	switch f.Class {
	case "quota":
		e.Status, e.Type, e.Code = http.StatusTooManyRequests, typeQuota, "insufficient_quota"
	case "rate", "busy":
		e.Status, e.Type, e.Code = http.StatusTooManyRequests, typeRate, "rate_limit_exceeded"
	case "auth": // the caller's key is another one
		e.Status, e.Type, e.Code = http.StatusServiceUnavailable, typeServer, "upstream_auth"
	case "transient", "truncated", "endpoint":
		e.Status, e.Type = http.StatusBadGateway, typeServer
	case "timeout", "expired":
		e.Status, e.Type = http.StatusGatewayTimeout, typeServer
	case "canceled":
		e.Status, e.Code = http.StatusConflict, "canceled"
	case "action":
		e.Code = "action_required"
	case "permanent":
		e.permanent(f.Code)
	}
	return e
}

func (e *Error) permanent(code int) {
	switch {
	case slices.Contains(filtered, code):
		e.Code = "content_filter"
	case slices.Contains(tooLong, code):
		e.Code = "context_length_exceeded"
	case slices.Contains(noSuchBot, code):
		e.Status, e.Code, e.Param = http.StatusNotFound, "model_not_found", "model"
	}
}
