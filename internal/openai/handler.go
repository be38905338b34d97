package openai

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Config is what a Handler works with.
type Config struct {
	Decoder

	Submit *submit.Client
	Tasks  *tasks.Client // those that Submit works with
	Hub    *watch.Hub    // of the same store

	// Deadline is how long a question may wait to be asked, unless it is in the background or says expires_at; 0: an hour. It
	// is longer than any client waits, and ends what nobody waits for if a serve has died.
	Deadline time.Duration

	// Grace is how long a client that has gone may come again before its task is canceled; 0: 15 s, negative: tasks of
	// clients that have gone go on.
	Grace time.Duration

	// HeadersAfter is how long a stream waits for its first piece before it sends its headers; 0: 2 s, which is shorter than
	// any client waits. A task that fails in this time has its error with a status, which the SDKs make a typed error of.
	HeadersAfter time.Duration

	// FirstDelta is told how long a streaming request waited for the first piece of its answer; nil: nobody is.
	FirstDelta func(time.Duration)

	// Log gets what went wrong here; nil: the default logger.
	Log *slog.Logger
}

// Handler serves the API. Bodies are bounded before it.
type Handler struct {
	Config
	waiters waiters
	base    context.Context // ends with Close
	close   context.CancelCauseFunc
}

// New returns a Handler. The caller closes it once the server takes no more requests.
func New(c Config) *Handler {
	c.Deadline = cmp.Or(c.Deadline, time.Hour)
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	c.HeadersAfter = cmp.Or(c.HeadersAfter, 2*time.Second)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.FirstDelta == nil {
		c.FirstDelta = func(time.Duration) {}
	}
	h := &Handler{Config: c}
	h.base, h.close = context.WithCancelCause(context.Background())
	h.waiters.redis = h.results().Redis()
	h.waiters.cancel = func(ctx context.Context, id string) error {
		_, err := c.Tasks.Cancel(ctx, id)
		return err
	}
	return h
}

func (h *Handler) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/models", h.listModels)
	mux.HandleFunc("GET /v1/models/{model...}", h.getModel)
	mux.HandleFunc("POST "+ChatAPI, h.create(ChatAPI))
	mux.HandleFunc("POST "+ResponsesAPI, h.create(ResponsesAPI))
	mux.HandleFunc("GET "+ResponsesAPI+"/{id}", h.retrieve)
	mux.HandleFunc("GET "+ResponsesAPI+"/{id}/input_items", h.inputItems)
	mux.HandleFunc("POST "+ResponsesAPI+"/{id}/cancel", h.cancel)
	mux.HandleFunc("DELETE "+ResponsesAPI+"/{id}", h.delete)
	mux.HandleFunc("/v1/", unknownURL)
}

func (h *Handler) results() *results.Store { return h.Tasks.Results() }

// errClosing ends requests of a serve that stops. Their tasks go on.
var errClosing = &Error{
	Status: http.StatusServiceUnavailable, Code: "server_closing", Retry: RetryYes, RetryAfter: time.Second,
	Message: "this cozeq serve stops: the same request again waits on, and asks nothing twice",
}

// Close ends the requests that wait, with an error that tells their clients to come again. No task is canceled for it.
func (h *Handler) Close() {
	h.close(errClosing)
	h.waiters.close()
}

func (h *Handler) untilClose(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(h.base, func() { cancel(errClosing) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// unknownURL answers what is not served under /v1.
func unknownURL(w http.ResponseWriter, r *http.Request) {
	WriteError(w, &Error{
		Status: http.StatusNotFound, Code: "unknown_url",
		Message: "unknown URL: " + r.Method + " " + r.URL.Path + " is not served here; docs/openai.md has what is",
	})
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	h.logFault(r, w.Header().Get(requestID), err)
	WriteError(w, err)
}

func (h *Handler) logFault(r *http.Request, task string, err error) {
	if errorOf(err).Code == "internal" {
		h.Log.Error("a request of OpenAI's API failed", "path", r.URL.Path, "task", task, "err", err)
	}
}
