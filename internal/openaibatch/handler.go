// Package openaibatch serves OpenAI's Files and Batches over the queue: /v1/files and /v1/batches.
//
// A file is checked as a whole before it is kept, and again before a batch is made of it: what its key may ask can have
// changed. A batch is a detached batch of package batches, so workers, the command line and the dashboard see it. The files
// of its answers are no files: they are written from the batch's rows whenever somebody reads them, so an answer is in Redis
// once, and they go when the batch goes.
//
// # If a process dies
//
//	during an upload              nobody sees the file; what was kept of it expires within an hour
//	after it, before its reply    the file is there, and expires; the SDK's second try makes another one
//	during the making of a batch  the batch is "validating", with some of its lines in the queue. The same request again finds
//	                              it by its id, which is made of the request, and adds the rest: see create.go
//	while answers are read        the reader's connection ends early; nothing is kept of a reading
package openaibatch

import (
	"cmp"
	"log/slog"
	"net/http"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/filestore"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Bounds of files and batches. All but DefaultMaxFiles are OpenAI's.
const (
	DefaultMaxFile  = 200_000_000   // bytes
	DefaultMaxFiles = 2_000_000_000 // bytes
	maxRequests     = 50_000        // of a batch
)

// Config is what a Handler works with.
type Config struct {
	openai.Decoder

	Submit *submit.Client // says what keys may
	Tasks  *tasks.Client  // those that Submit works with

	MaxFile  int64        // bytes of an uploaded file; 0: DefaultMaxFile
	MaxFiles int64        // bytes of all files of a tenant; 0: DefaultMaxFiles
	Log      *slog.Logger // gets what went wrong here; nil: the default logger
}

// Handler serves the API. Bodies are bounded before it.
type Handler struct {
	Config
	files   *filestore.Store
	batches *batches.Client
}

func New(c Config) *Handler {
	c.MaxFile = cmp.Or(c.MaxFile, DefaultMaxFile)
	c.MaxFiles = cmp.Or(c.MaxFiles, DefaultMaxFiles)
	c.Log = cmp.Or(c.Log, slog.Default())
	h := &Handler{Config: c, files: filestore.New(c.Tasks.Results()), batches: batches.New(c.Tasks)}
	return h
}

func (h *Handler) Register(mux *http.ServeMux) {
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) (openai.Object, error){
		"POST /v1/files":               h.upload,
		"GET /v1/files":                h.listFiles,
		"GET /v1/files/{id}":           h.getFile,
		"DELETE /v1/files/{id}":        h.deleteFile,
		"GET /v1/files/{id}/content":   h.content,
		"POST /v1/batches":             h.create,
		"GET /v1/batches":              h.listBatches,
		"GET /v1/batches/{id}":         h.getBatch,
		"POST /v1/batches/{id}/cancel": h.cancel,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			switch body, err := serve(w, r); {
			case err != nil:
				h.refuse(w, r, err)
			case body != nil: // content has gone out
				openai.WriteJSON(w, http.StatusOK, body)
			}
		})
	}
}

func (h *Handler) results() *results.Store { return h.Tasks.Results() }

func tenant(r *http.Request) string { return apikey.FromContext(r.Context()).Tenant() }
