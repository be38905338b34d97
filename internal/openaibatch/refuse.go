package openaibatch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/filestore"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/upload"
	"github.com/cozeq/cozeq/internal/usage"
	"github.com/cozeq/cozeq/tasks/batches"
)

func notFound(what, param, id string) *openai.Error {
	return &openai.Error{
		Status: http.StatusNotFound, Param: param, Code: "not_found",
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
		return openai.Bad("", "invalid_form", "%s", e)
	}
	if e, ok := errors.AsType[*upload.TooLargeError](err); ok {
		return tooLarge(e)
	}
	if e, ok := errors.AsType[*filestore.TooLargeError](err); ok {
		return tooLarge(e)
	}
	if e, ok := errors.AsType[*filestore.FullError](err); ok {
		return &openai.Error{Status: http.StatusRequestEntityTooLarge, Code: "storage_full", Message: e.Error(), Retry: openai.RetryNo}
	}
	if e, ok := errors.AsType[*upload.DiskError](err); ok {
		return &openai.Error{Status: http.StatusInsufficientStorage, Code: "no_disk", Message: e.Error(), RetryAfter: time.Minute}
	}
	if e, ok := errors.AsType[*batches.NoRoomError](err); ok {
		return &openai.Error{Status: http.StatusServiceUnavailable, Code: "no_room", Message: e.Error(), Retry: openai.RetryNo, RetryAfter: time.Minute}
	}
	if e, ok := errors.AsType[*usage.Error](err); ok {
		return openai.Bad("file", "invalid_value", "%s", e)
	}
	if errors.Is(err, filestore.ErrLapsed) {
		return &openai.Error{Status: http.StatusRequestTimeout, Code: "upload_lapsed", Message: err.Error()}
	}
	return nil
}

func tooLarge(err error) *openai.Error {
	return &openai.Error{Status: http.StatusRequestEntityTooLarge, Param: "file", Code: "file_too_large", Message: err.Error()}
}

// Of a file's problems the message has the first shownProblems, the list in the error the first listedProblems.
const (
	shownProblems  = 10
	listedProblems = 100
)

// explain is the error of a file that cannot be a batch, if that is what err says; other errors stay as they are.
func explain(param string, err error) error {
	invalid, ok := errors.AsType[*input.InvalidInput](err)
	if !ok {
		return err
	}
	e := openai.Bad(param, "invalid_batch_file", "the file is not a batch of requests, and nothing of it was kept or asked: %d problems", invalid.Total)
	if invalid.Total == 1 {
		e.Message = strings.TrimSuffix(e.Message, "s")
	}
	for i, p := range invalid.Problems {
		what := strings.TrimSuffix(p.What, ", as --encoding says") // here it is always UTF-8
		if i < listedProblems {
			e.Lines = append(e.Lines, openai.Line{N: p.Line, Message: what})
		}
		switch {
		case i > shownProblems:
		case i == shownProblems:
			e.Message += fmt.Sprintf("\n%d more", invalid.Total-i)
		case p.Line == 0:
			e.Message += "\n" + what
		default:
			e.Message += fmt.Sprintf("\nline %d: %s", p.Line, what)
		}
	}
	return e
}
