package openaibatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/filestore"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/upload"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks/batches"
)

const (
	typeRequest = "invalid_request_error"
	typeServer  = "server_error"

	noRetry = "false" // for x-should-retry
)

// bad is a request that is wrong at a parameter.
func bad(param, code, format string, args ...any) *openai.Error {
	return &openai.Error{Status: http.StatusBadRequest, Type: typeRequest, Param: param, Code: code, Message: fmt.Sprintf(format, args...)}
}

func notFound(what, param, id string) *openai.Error {
	return &openai.Error{
		Status: http.StatusNotFound, Type: typeRequest, Param: param, Code: "not_found",
		Message: fmt.Sprintf("no such %s: %.100q; it is another key's, was deleted, has expired or was never there", what, id),
	}
}

// refuse answers with an error. One that is our own fault goes to the log.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := known(err)
	if e == nil {
		if !errors.Is(err, context.Canceled) {
			h.Log.Error("a request of OpenAI's Files or Batches failed", "path", r.URL.Path, "err", err)
		}
		openai.WriteError(w, err)
		return
	}
	openai.WriteError(w, e)
}

// known is an error of this package's own making, and of those below it; nil: package openai knows it, or nobody.
func known(err error) error {
	if e, ok := errors.AsType[*openai.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*upload.MalformedError](err); ok {
		return bad("", "invalid_form", "%s", e)
	}
	if e, ok := errors.AsType[*upload.TooLargeError](err); ok {
		return tooLarge(e)
	}
	if e, ok := errors.AsType[*filestore.TooLargeError](err); ok {
		return tooLarge(e)
	}
	if e, ok := errors.AsType[*filestore.FullError](err); ok {
		return &openai.Error{Status: http.StatusRequestEntityTooLarge, Type: typeRequest, Code: "storage_full", Message: e.Error(), Retry: noRetry}
	}
	if e, ok := errors.AsType[*upload.DiskError](err); ok {
		return &openai.Error{Status: http.StatusInsufficientStorage, Type: typeServer, Code: "no_disk", Message: e.Error(), RetryAfter: time.Minute}
	}
	if e, ok := errors.AsType[*batches.NoRoomError](err); ok {
		return &openai.Error{Status: http.StatusServiceUnavailable, Type: typeServer, Code: "no_room", Message: e.Error(), Retry: noRetry, RetryAfter: time.Minute}
	}
	if e, ok := errors.AsType[*usage.Error](err); ok {
		return bad("file", "invalid_value", "%s", e)
	}
	if errors.Is(err, filestore.ErrLapsed) {
		return &openai.Error{Status: http.StatusRequestTimeout, Type: typeRequest, Code: "upload_lapsed", Message: err.Error()}
	}
	return nil
}

func tooLarge(err error) *openai.Error {
	return &openai.Error{Status: http.StatusRequestEntityTooLarge, Type: typeRequest, Param: "file", Code: "file_too_large", Message: err.Error()}
}

// Of a file's problems the message has the first shownProblems, the object of the error the first listedProblems.
const (
	shownProblems  = 10
	listedProblems = 100
)

// problemsError is a file that cannot be a batch. Its error has, beside what all have, "errors" as a batch of OpenAI's has
// them: {"object": "list", "data": [{code, line, message, param}]}.
type problemsError struct {
	param   string
	invalid *input.InvalidInput
}

func (e *problemsError) Error() string {
	var b strings.Builder
	problems := "1 problem"
	if n := e.invalid.Total; n > 1 {
		problems = strconv.Itoa(n) + " problems"
	}
	b.WriteString("the file is not a batch of requests, and nothing of it was kept or asked: " + problems)
	for i, p := range e.invalid.Problems {
		if i == shownProblems {
			fmt.Fprintf(&b, "\n%d more", e.invalid.Total-i)
			break
		}
		b.WriteString("\n" + place(p) + p.What)
	}
	return b.String()
}

func place(p *input.Problem) string {
	if p.Line == 0 {
		return ""
	}
	return "line " + strconv.Itoa(p.Line) + ": "
}

// write answers with the error. Package openai has no place for the list.
func (e *problemsError) write(w http.ResponseWriter) error {
	data := make([]any, 0, min(len(e.invalid.Problems), listedProblems))
	for _, p := range e.invalid.Problems[:cap(data)] {
		data = append(data, object{"code": "invalid_request", "line": orNull(p.Line), "message": p.What, "param": nil})
	}
	return writeJSON(w, http.StatusBadRequest, object{"error": object{
		"message": e.Error(), "type": typeRequest, "param": orNull(e.param), "code": "invalid_batch_file",
		"errors": object{"object": "list", "data": data},
	}})
}

// writeJSON answers with an object.
func writeJSON(w http.ResponseWriter, status int, o object) error {
	body, err := encode(o)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
	return nil
}

// encode is json.Marshal, but leaves <, > and & as they are, and ends in a newline.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
