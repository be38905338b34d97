package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

const batchesPath = "/api/v1/batches"

// batchRoutes are outside huma, which would hold files in memory; the document has them all the same.
func (g *Gateway) batchRoutes(mux *http.ServeMux) {
	one, page := schemaOf[batch](g.api.OpenAPI().Components.Schemas, "Batch"), schemaOf[batchPage](g.api.OpenAPI().Components.Schemas, "BatchPage")
	file := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	id := parameter("id", "path", "the batch's id")
	add := func(method, path, name, summary, text string, serve func(http.ResponseWriter, *http.Request) error, body *huma.RequestBody, replies map[string]*huma.Response, params ...*huma.Param) {
		op := g.operation(method, path, name, "Batches", summary, text)
		op.Parameters, op.RequestBody = params, body
		maps.Copy(op.Responses, replies)
		g.raw(mux, op, func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				write(w, batchProblem(err))
			}
		})
	}
	is := func(status, what string, s *huma.Schema) map[string]*huma.Response {
		return map[string]*huma.Response{status: jsonResponse(what, s)}
	}
	add(http.MethodPost, batchesPath, "submitBatch", "Submit a file of questions", submitText, g.postBatch,
		&huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"multipart/form-data":      {Schema: &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"file": file}, Required: []string{"file"}}},
			"application/octet-stream": {Schema: file},
		}},
		map[string]*huma.Response{
			"202": jsonResponse("the questions are in the queue", one), "200": jsonResponse("they were there already", one),
		}, uploadParameters()...)
	add(http.MethodGet, batchesPath, "batches", "List batches", "Lists the batches of the key, the newest first.", g.listBatches, nil, is("200", "a page", page),
		parameter("after", "query", "the id of the last batch of the page before"), parameter("limit", "query", "1 to 100; 20 if it is missing"))
	add(http.MethodGet, batchesPath+"/{id}", "batch", "Look at a batch", "Returns the counts of its questions by state, and its failures by class.", g.getBatch, nil, is("200", "the batch", one), id)
	add(http.MethodGet, batchesPath+"/{id}/results", "batchResults", "Read the results of a batch",
		"Writes a record for each question, in the order of the file. Questions that have not ended are there with their state.", g.batchResults, nil,
		map[string]*huma.Response{"200": {Description: "the records", Content: map[string]*huma.MediaType{"*/*": {Schema: file}}}},
		id, parameter("format", "query", "jsonl, json, csv, tsv, xlsx or parquet; by Accept if it is missing, jsonl if that says nothing"))
	add(http.MethodPost, batchesPath+"/{id}/cancel", "cancelBatch", "Cancel a batch", "Cancels what has not ended. Questions at Coze end a moment later.", g.cancelBatch, nil, is("200", "the batch", one), id)
	add(http.MethodPost, batchesPath+"/{id}/retry", "retryBatch", "Ask unanswered questions again",
		"Asks questions that failed, expired or whose record is gone, as new ones: those of class or status, if they are given.", g.retryBatch, nil, is("200", "the batch", one),
		id, parameter("class", "query", "of the error; may be repeated"), parameter("status", "query", "failed, expired or canceled; may be repeated"))
}

func parameter(name, in, text string) *huma.Param {
	return &huma.Param{Name: name, In: in, Description: text, Required: in == "path", Schema: &huma.Schema{Type: huma.TypeString}}
}

type batch struct {
	ID          string                 `json:"id"`
	Name        string                 `json:"name" doc:"of the file"`
	State       string                 `json:"state" enum:"submitting,open,canceling,done,canceled"`
	Queue       string                 `json:"queue"`
	BotID       string                 `json:"bot_id,omitempty"`
	Counts      batches.Counts         `json:"counts" doc:"questions by state"`
	Usage       results.Usage          `json:"usage" doc:"Coze's count for all chats"`
	Failures    []batches.FailureCount `json:"failures,omitempty" doc:"failed questions by class and code"`
	CreatedAt   time.Time              `json:"created_at"`
	SubmittedAt time.Time              `json:"submitted_at,omitzero"`
	EndedAt     time.Time              `json:"ended_at,omitzero"`
	CanceledAt  time.Time              `json:"canceled_at,omitzero"`
	ExpiresAt   time.Time              `json:"expires_at,omitzero"`
	Already     bool                   `json:"already_submitted,omitempty" doc:"the same file was submitted before"`
	AskedAgain  int                    `json:"asked_again,omitempty" doc:"of a retry: how many questions"`
	Paused      *submit.Wait           `json:"paused,omitempty" doc:"of an open batch: why its queue is not asked now"`
}

type batchPage struct {
	Batches []batch `json:"batches"`
	HasMore bool    `json:"has_more"`
}

func (g *Gateway) batchReply(ctx context.Context, b *batches.Status) batch {
	out := batchOf(b)
	if b.Counts.Open() > 0 {
		out.Paused, _ = g.submit.QueueWaits(ctx, b.Queue) // the batch is there, whatever is known of its queue
	}
	return out
}

func batchOf(b *batches.Status) batch {
	return batch{
		ID: b.ID, Name: b.Name, State: b.State(), Queue: b.Queue, BotID: b.BotID, Counts: b.Counts, Usage: b.Tokens, Failures: b.Failures,
		CreatedAt: b.CreatedAt, SubmittedAt: b.SubmittedAt, EndedAt: b.EndedAt, CanceledAt: b.CanceledAt, ExpiresAt: b.ExpiresAt,
	}
}

func (g *Gateway) batch(r *http.Request) (*batches.Status, error) {
	id := r.PathValue("id")
	missing := fault(http.StatusNotFound, "there is no batch %.100q", id)
	if batches.ValidateID(id) != nil {
		return nil, missing
	}
	b, err := g.batches.Get(r.Context(), id)
	if errors.Is(err, batches.ErrNotFound) || err == nil && !submit.Owns(r.Context(), b.Tenant) {
		return nil, missing
	}
	return b, err
}

func (g *Gateway) getBatch(w http.ResponseWriter, r *http.Request) error {
	b, err := g.batch(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, g.batchReply(r.Context(), b))
	return nil
}

// Pages of batches.
const (
	batchesPage = 20
	mostBatches = 100
)

func (g *Gateway) listBatches(w http.ResponseWriter, r *http.Request) error {
	q, limit := r.URL.Query(), batchesPage
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostBatches {
			return fault(http.StatusUnprocessableEntity, "query.limit: %.60q, want 1 to %d", text, mostBatches)
		}
		limit = n
	}
	found, more, err := g.batches.Page(r.Context(), batches.PageOptions{Tenant: apikey.FromContext(r.Context()).Tenant(), After: q.Get("after"), Limit: limit})
	if errors.Is(err, batches.ErrNotFound) {
		return fault(http.StatusNotFound, "query.after: there is no batch %.100q", q.Get("after"))
	}
	if err != nil {
		return err
	}
	page := batchPage{Batches: make([]batch, len(found)), HasMore: more}
	for i, b := range found {
		page.Batches[i] = batchOf(b)
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// cancelBatch goes on if the client hangs up. A cancel that was cut is completed by the next one.
func (g *Gateway) cancelBatch(w http.ResponseWriter, r *http.Request) error {
	b, err := g.batch(r)
	if err != nil {
		return err
	}
	if b.Kind == batches.KindRun && g.keys != nil {
		return fault(http.StatusForbidden, "batch %s is of a run, which is stopped where it runs", b.ID)
	}
	if b.Counts.Open() > 0 {
		if err := g.batches.Cancel(context.WithoutCancel(r.Context()), b.ID, nil); err != nil {
			return err
		}
		if b, err = g.batches.Get(r.Context(), b.ID); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, batchOf(b))
	return nil
}

// retryBatch asks questions again. The same request once more asks nothing twice: what is under way has not failed.
func (g *Gateway) retryBatch(w http.ResponseWriter, r *http.Request) error {
	b, err := g.batch(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	classes, statuses := q["class"], q["status"]
	for _, status := range statuses {
		if !slices.Contains([]string{string(results.Failed), string(results.Expired), string(results.Canceled)}, status) {
			return fault(http.StatusUnprocessableEntity, "query.status: %.60q, want failed, expired or canceled", status)
		}
	}
	all := len(classes)+len(statuses) == 0
	which := batches.RetryOptions{Lost: all, Want: func(_ int, r *results.Result) bool {
		switch {
		case all:
			return r.CreatedAt.IsZero() || r.Status == results.Failed || r.Status == results.Expired
		case slices.Contains(statuses, string(r.Status)):
			return true
		}
		return r.Status == results.Failed && r.Error != nil && slices.Contains(classes, r.Error.Class)
	}}
	key := apikey.FromContext(r.Context())
	if key != nil {
		n, err := g.batches.Retryable(r.Context(), b.ID, which)
		if err == nil {
			err = g.submit.Limits.AdmitBatch(r.Context(), key, b.ID, n)
		}
		if err != nil {
			return err
		}
	}
	n, err := g.batches.Retry(context.WithoutCancel(r.Context()), b.ID, which)
	if err != nil {
		return fmt.Errorf("%d questions are asked again, others not: %w", n, err)
	}
	if b, err = g.batches.Get(r.Context(), b.ID); err != nil {
		return err
	}
	out := batchOf(b)
	out.AskedAgain = n
	writeJSON(w, http.StatusOK, out)
	return nil
}
