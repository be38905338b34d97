package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cozeq/cozeq/internal/sse"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/results"
)

const eventsText = `Tells what happens to a task, as Server-Sent Events: status, delta (a piece of the answer), reasoning (a piece
of the model's reasoning), reset (the answer begins again: forget what came), gap (pieces are gone; end has the whole answer) and end (the result). All but status and gap have an
id. A client that comes back with Last-Event-ID, to any server, gets what it has not had; after end it gets 204. There are
pieces only of a task that was submitted with stream.`

// eventRoutes are outside huma, which would hold the answer back; the document has them all the same.
func (g *Gateway) eventRoutes(mux *http.ServeMux) {
	path := tasksPath + "/{id}/events"
	op := g.operation(http.MethodGet, path, "events", "Tasks", "Watch a task", eventsText)
	op.Parameters = []*huma.Param{
		{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}},
		{Name: "Last-Event-ID", In: "header", Description: "id of the last event that was seen; a browser sends it by itself", Schema: &huma.Schema{Type: huma.TypeString}},
		{Name: "last_event_id", In: "query", Description: "the same, for clients that cannot send the header", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	op.Responses["200"] = &huma.Response{Description: "the events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	op.Responses["204"] = &huma.Response{Description: "the task has ended and its end was seen: do not come back"}
	g.raw(mux, op, g.events)
}

func (g *Gateway) events(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(g.draining, cancel)()
	id := r.PathValue("id")
	if _, err := g.submit.Result(ctx, id); err != nil {
		write(w, problemOf(err))
		return
	}
	var stream *sse.Writer
	for e, err := range g.watch.Watch(ctx, id, sse.LastEventID(r)) {
		if stream == nil {
			var malformed *watch.IDError
			switch {
			case errors.Is(err, watch.ErrEnded):
				w.WriteHeader(http.StatusNoContent)
				return
			case errors.As(err, &malformed):
				write(w, fault(http.StatusBadRequest, "header.Last-Event-ID: %s", err))
				return
			case err != nil:
				write(w, problemOf(err))
				return
			}
			if stream, err = sse.Start(w, r); err != nil {
				write(w, problemOf(err))
				return
			}
			defer stream.Close()
		}
		if err != nil { // Redis is away, or this process stops: the client comes back by itself, with the last id
			g.Logger.Debug("a watcher was let go", "task", id, "error", err)
			return
		}
		if stream.Event(e.ID, string(e.Type), eventData(e)) != nil {
			return // the client has gone
		}
	}
}

func eventData(e watch.Event) []byte {
	var v any = struct{}{}
	switch e.Type {
	case watch.Status:
		v = struct {
			Status results.Status   `json:"status"`
			Error  *results.Failure `json:"error,omitempty"`
		}{e.Status, e.Why}
	case watch.Delta, watch.Reasoning:
		v = struct {
			Text string `json:"text"`
		}{e.Text}
	case watch.End:
		if data, err := e.Result.Encode(); err == nil {
			return data
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return data
}
