package openaibatch

import (
	"context"
	"errors"
	"net/http"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/tasks/batches"
)

// owns reports whether the key of a request may see a batch.
func owns(r *http.Request, b *batches.Status) bool {
	key := apikey.FromContext(r.Context())
	return key == nil || key.Name == b.Tenant
}

// reply answers with a batch.
func (h *Handler) reply(w http.ResponseWriter, r *http.Request, b *batches.Status) error {
	n, ok := noteOf(b)
	if !ok {
		return notFound("batch", "id", b.ID)
	}
	var waits *submit.Wait
	if !ended(b) {
		waits, _ = h.Submit.QueueWaits(r.Context(), b.Queue) // the batch is there, whatever is known of its queue
	}
	return writeJSON(w, http.StatusOK, batchObject(b, n, waits))
}

func (h *Handler) getBatch(w http.ResponseWriter, r *http.Request) error {
	b, _, err := h.batch(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.reply(w, r, b)
}

// cancel cancels what has not ended. Lines that are at Coze end a moment later, and the batch is "cancelling" until then. A
// cancel that was cut is completed by the next one.
func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) error {
	b, _, err := h.batch(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	if ended(b) && b.CanceledAt.IsZero() {
		return &openai.Error{
			Status: http.StatusConflict, Type: typeRequest, Code: "batch_ended", Retry: noRetry,
			Message: "the batch has ended as " + statusOf(b) + ": there is nothing to cancel",
		}
	}
	// The client need not wait for it.
	if err := h.batches.Cancel(context.WithoutCancel(r.Context()), b.ID, nil); err != nil {
		return err
	}
	if b, err = h.batches.Get(r.Context(), b.ID); err != nil {
		return err
	}
	return h.reply(w, r, b)
}

// How many batches are on a page.
const (
	batchesPage    = 20
	maxBatchesPage = 100
)

func (h *Handler) listBatches(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := parseLimit(q, batchesPage, maxBatchesPage)
	if err != nil {
		return err
	}
	found, more, err := h.batches.Page(r.Context(), batches.PageOptions{
		Tenant: tenant(r), After: q.Get("after"), Limit: limit,
		Want: func(b *batches.Status) bool {
			_, ok := noteOf(b)
			return ok
		},
	})
	if errors.Is(err, batches.ErrNotFound) {
		return notFound("batch", "after", q.Get("after"))
	}
	if err != nil {
		return err
	}
	data := make([]object, len(found))
	for i, b := range found {
		n, _ := noteOf(b)
		data[i] = batchObject(b, n, nil)
	}
	return writeJSON(w, http.StatusOK, list(data, more))
}
