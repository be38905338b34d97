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

func owns(r *http.Request, b *batches.Status) bool {
	key := apikey.FromContext(r.Context())
	return key == nil || key.Name == b.Tenant
}

func (h *Handler) object(r *http.Request, b *batches.Status) (openai.Object, error) {
	n, ok := noteOf(b)
	if !ok {
		return nil, notFound("batch", "id", b.ID)
	}
	var waits *submit.Wait
	if !ended(b) {
		waits, _ = h.Submit.QueueWaits(r.Context(), b.Queue) // the batch is there, whatever is known of its queue
	}
	return batchObject(b, n, waits), nil
}

func (h *Handler) getBatch(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	b, err := h.batch(r, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return h.object(r, b)
}

// cancel cancels what has not ended. Lines that are at Coze end a moment later, and the batch is "cancelling" until then. A
// cancel that was cut is completed by the next one.
func (h *Handler) cancel(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	b, err := h.batch(r, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if ended(b) && b.CanceledAt.IsZero() {
		return nil, &openai.Error{
			Status: http.StatusConflict, Code: "batch_ended", Retry: openai.RetryNo,
			Message: "the batch has ended as " + statusOf(b) + ": there is nothing to cancel",
		}
	}
	// The client need not wait for it.
	if err := h.batches.Cancel(context.WithoutCancel(r.Context()), b.ID, nil); err != nil {
		return nil, err
	}
	if b, err = h.batches.Get(r.Context(), b.ID); err != nil {
		return nil, err
	}
	return h.object(r, b)
}

// How many batches are on a page.
const (
	batchesPage    = 20
	maxBatchesPage = 100
)

func (h *Handler) listBatches(_ http.ResponseWriter, r *http.Request) (openai.Object, error) {
	page, err := openai.ParsePage(r.URL.Query(), batchesPage, maxBatchesPage)
	if err != nil {
		return nil, err
	}
	found, more, err := h.batches.Page(r.Context(), batches.PageOptions{
		Tenant: tenant(r), After: page.After, Limit: page.Limit,
		Want: func(b *batches.Status) bool {
			_, ok := noteOf(b)
			return ok
		},
	})
	if errors.Is(err, batches.ErrNotFound) {
		return nil, notFound("batch", "after", page.After)
	}
	if err != nil {
		return nil, err
	}
	data := make([]openai.Object, len(found))
	for i, b := range found {
		n, _ := noteOf(b)
		data[i] = batchObject(b, n, nil)
	}
	return openai.List(data, more), nil
}
