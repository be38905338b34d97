package openaibatch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/batchfile"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

// output is one of the two files of a batch's answers.
type output struct {
	batch  string
	errors bool // the one with what got no answer
}

const (
	batchPrefix  = "batch_"
	outputPrefix = "file-output-"
	errorsPrefix = "file-errors-"
)

func (o output) id() string {
	prefix := outputPrefix
	if o.errors {
		prefix = errorsPrefix
	}
	return prefix + strings.TrimPrefix(o.batch, batchPrefix)
}

func (o output) name() string {
	if o.errors {
		return o.batch + "_errors.jsonl"
	}
	return o.batch + "_output.jsonl"
}

// parseOutput parses the id of a file of answers. ok is false for an uploaded file.
func parseOutput(id string) (o output, ok bool) {
	if rest, found := strings.CutPrefix(id, outputPrefix); found {
		return output{batch: batchPrefix + rest}, true
	}
	if rest, found := strings.CutPrefix(id, errorsPrefix); found {
		return output{batch: batchPrefix + rest, errors: true}, true
	}
	return o, false
}

// written finds the batch of a file of answers. The file is there if the batch has ended and has lines for it.
func (h *Handler) written(r *http.Request, out output) (*batches.Status, error) {
	b, err := h.batch(r, out.batch)
	if err != nil {
		return nil, err
	}
	answered, rest := files(b)
	if !ended(b) || out.errors && !rest || !out.errors && !answered {
		return nil, notFound("file", "id", out.id())
	}
	return b, nil
}

// files reports which files of answers an ended batch has. One that may have a line is there, if only empty: the batch does not
// know which of the answers that Coze cut short have any text.
func files(b *batches.Status) (answered, rest bool) {
	_, possible := answers(b)
	return possible > 0, b.Counts.Completed < b.Counts.Total
}

// answers is how many rows have a reply of status 200: as far as their codes tell, and at the most. An answer that Coze cut
// short is one, and the row has failed.
func answers(b *batches.Status) (likely, possible int) {
	likely, possible = b.Counts.Completed, b.Counts.Completed
	for _, f := range b.Failures {
		l, p := openai.Partial(f.Code)
		if l {
			likely += f.Count
		}
		if p {
			possible += f.Count
		}
	}
	return likely, possible
}

func (h *Handler) getOutput(r *http.Request, out output) (openai.Object, error) {
	b, err := h.written(r, out)
	if err != nil {
		return nil, err
	}
	var size counter
	if err := h.write(r.Context(), &size, b, out.errors); err != nil {
		return nil, err
	}
	return openai.Object{
		"id": out.id(), "object": "file", "bytes": int64(size), "created_at": endOf(b).Unix(), "expires_at": endOf(b).Add(b.Keep).Unix(),
		"filename": out.name(), "purpose": purposeOutput, "status": "processed", "status_details": nil,
	}, nil
}

// counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func (h *Handler) outputContent(w http.ResponseWriter, r *http.Request, out output) error {
	b, err := h.written(r, out)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	begun := &beginning{w: w}
	buffered := bufio.NewWriterSize(begun, 64<<10)
	err = h.write(r.Context(), buffered, b, out.errors)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil || !begun.begun {
		return err
	}
	// The status has gone out. A reader must not take what it has for the whole.
	if r.Context().Err() == nil {
		h.Log.Error("the answers of a batch could not be sent to their end", "batch", b.ID, "err", err)
	}
	panic(http.ErrAbortHandler)
}

// beginning notes whether anything was written.
type beginning struct {
	w     io.Writer
	begun bool
}

func (b *beginning) Write(p []byte) (int, error) {
	b.begun = true
	return b.w.Write(p)
}

// write writes one of the two files: a line for each row that belongs to it, in the order of the input.
func (h *Handler) write(ctx context.Context, w io.Writer, b *batches.Status, rest bool) error {
	d := &batchfile.Detached{Batch: b, Batches: h.batches, Results: h.results()}
	for record, err := range d.Each(ctx) {
		if err != nil {
			return err
		}
		line, answered, err := lineOf(record)
		if err != nil {
			return err
		}
		if answered == rest {
			continue
		}
		text, err := input.Marshal(line)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(text, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// resultLine is a line of a file of answers, as OpenAI writes it. A request that was refused has a response and no error; one
// that was never asked has an error and no response.
type resultLine struct {
	ID       string     `json:"id"`
	CustomID string     `json:"custom_id"`
	Response *response  `json:"response"`
	Error    *lineError `json:"error"`
}

type response struct {
	StatusCode int             `json:"status_code"`
	RequestID  string          `json:"request_id"`
	Body       json.RawMessage `json:"body"`
}

type lineError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

var (
	errExpired  = &lineError{"batch_expired", "This request could not be executed before the completion window expired."}
	errCanceled = &lineError{"batch_cancelled", "This request was not executed, as the batch was cancelled."}
)

func lineOf(record *batchfile.Record) (line resultLine, answered bool, err error) {
	r := record.Result
	line = resultLine{ID: "batch_req_" + strings.TrimPrefix(r.ID, batchPrefix), CustomID: r.CustomID}
	switch {
	case r.Status == results.Canceled:
		line.Error = errCanceled
	case r.Status == results.Expired || !r.Status.Terminal():
		line.Error = errExpired
	default:
		echo, err := echoOf(record.Row)
		if err != nil {
			return line, false, err
		}
		status, body := echo.Reply(r)
		line.Response = &response{StatusCode: status, RequestID: r.ID, Body: body}
		answered = status == http.StatusOK
	}
	return line, answered, nil
}

func endOf(b *batches.Status) time.Time {
	if b.EndedAt.IsZero() {
		return b.ExpiresAt
	}
	return b.EndedAt
}

// batch finds a batch of the tenant that was made here.
func (h *Handler) batch(r *http.Request, id string) (*batches.Status, error) {
	missing := notFound("batch", "id", id)
	if batches.ValidateID(id) != nil {
		return nil, missing
	}
	b, err := h.batches.Get(r.Context(), id)
	if errors.Is(err, batches.ErrNotFound) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	if _, ours := noteOf(b); !ours || !owns(r, b) {
		return nil, missing
	}
	return b, nil
}
