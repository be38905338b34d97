package openai

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
)

// endSoon is how long a cancellation waits for the worker, which tells Coze first.
const endSoon = 5 * time.Second

// find answers a request for a response that is not there. ok is false then.
func (h *Handler) find(w http.ResponseWriter, r *http.Request) (n *note, result *results.Result, ok bool) {
	id := r.PathValue("id")
	n, result, err := h.stored(r.Context(), id)
	switch {
	case isNotFound(err):
		WriteError(w, &Error{
			Status: http.StatusNotFound, Code: "not_found", Param: "response_id",
			Message: "there is no response " + quote(id) + ", or it was not stored, or is kept no longer",
		})
		return nil, nil, false
	case err != nil:
		h.refuse(w, r, err)
		return nil, nil, false
	}
	w.Header().Set(requestID, result.ID)
	return n, result, true
}

// retrieve serves GET /v1/responses/{id}, as it stands or as a stream.
func (h *Handler) retrieve(w http.ResponseWriter, r *http.Request) {
	n, result, ok := h.find(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	if query.Get("stream") != "true" && !streamInBody(r) {
		WriteJSON(w, http.StatusOK, n.response(result))
		return
	}
	after := -1
	if text := query.Get("starting_after"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			WriteError(w, Bad("starting_after", "invalid_value", "want the sequence_number of an event, from 0"))
			return
		}
		after = n
	}
	s := newResponseStream(w, r, &n.Echo, result)
	s.after = after
	defer s.close()
	f := follower{h: h, r: r, id: result.ID, sink: s, atOnce: true}
	f.follow()
}

// streamInBody reports whether a stream is asked for where OpenAI's library for Go does so: in the body of the GET.
func streamInBody(r *http.Request) bool {
	var body struct{ Stream bool }
	return json.NewDecoder(io.LimitReader(r.Body, 1<<10)).Decode(&body) == nil && body.Stream
}

// cancel serves POST /v1/responses/{id}/cancel. What has ended stays as it is.
func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) {
	n, result, ok := h.find(w, r)
	if !ok {
		return
	}
	if !n.Background {
		WriteError(w, Bad("response_id", "invalid_value", "only a response in the background can be canceled: end the request of another one"))
		return
	}
	result, err := h.end(r.Context(), result)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	WriteJSON(w, http.StatusOK, n.response(result))
}

// end cancels a task and waits a moment for its end.
func (h *Handler) end(ctx context.Context, result *results.Result) (*results.Result, error) {
	if result.Status.Terminal() {
		return result, nil
	}
	if err := h.Submit.Cancel(ctx, result.ID); err != nil {
		return nil, err
	}
	soon, stop := context.WithTimeout(ctx, endSoon)
	defer stop()
	if ended, err := h.results().Wait(soon, result.ID); err == nil {
		return ended, nil
	}
	return h.Submit.Result(ctx, result.ID)
}

// delete serves DELETE /v1/responses/{id}. A response that has not ended is canceled first: nobody could find it later.
func (h *Handler) delete(w http.ResponseWriter, r *http.Request) {
	_, result, ok := h.find(w, r)
	if !ok {
		return
	}
	result, err := h.end(r.Context(), result)
	if err == nil && !result.Status.Terminal() {
		err = &Error{
			Status: http.StatusConflict, Code: "response_in_progress", Retry: RetryYes, RetryAfter: 2 * time.Second,
			Message: "the response is being canceled: delete it again in a moment",
		}
	}
	if err == nil {
		// The note goes last: while it is there the response can be deleted again.
		if err = h.results().Delete(r.Context(), result.ID); err == nil {
			err = h.results().Redis().Unlink(r.Context(), rediskey.Response(result.ID)).Err()
		}
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	WriteJSON(w, http.StatusOK, Object{"id": responsePrefix + result.ID, "object": "response", "deleted": true})
}
