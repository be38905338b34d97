package openaibatch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/input"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/tasks"
)

// open reads lines as requests of the key in ctx. endpoint is the url that all must have; "" = any that can be served. The
// lines are copied to the disk, so that those that are checked are those that are asked.
func (h *Handler) open(ctx context.Context, lines io.Reader, endpoint, queue string) (*input.Input, error) {
	in, err := input.Open("-", input.Options{
		Format: string(input.JSONL), Stdin: lines, Encoding: "utf-8",
		Credential: credential(ctx),
		Requests: &input.Requests{
			URL: endpoint, MaxRows: maxRequests,
			Decode: func(url string, body json.RawMessage) (*tasks.Chat, json.RawMessage, error) {
				return h.line(ctx, url, body)
			},
		},
		Allow: func(chat *tasks.Chat) error { return h.Submit.Allow(apikey.FromContext(ctx), chat, queue) },
	})
	if err != nil {
		return nil, fmt.Errorf("read the lines: %w", err)
	}
	return in, nil
}

func credential(ctx context.Context) string {
	if key := apikey.FromContext(ctx); key != nil {
		return key.Credential
	}
	return ""
}

// line makes a question of a line's body, as the two endpoints make it of a request's.
func (h *Handler) line(ctx context.Context, url string, body json.RawMessage) (*tasks.Chat, json.RawMessage, error) {
	ask, err := h.Decode(ctx, url, body)
	if err != nil {
		return nil, nil, err
	}
	// These belong to the batch, or need a request that waits for its answer.
	for name, given := range map[string]bool{
		"queue": ask.Options.Queue != "", "stream": ask.Stream, "background": ask.Echo.Background,
		"previous_response_id": ask.Echo.Previous != "",
	} {
		if given {
			return nil, nil, fmt.Errorf("%s: is not for a line of a batch: leave it out", name)
		}
	}
	echo, err := json.Marshal(ask.Echo)
	return ask.Chat, echo, err
}

func echoOf(row *input.Row) (e openai.Echo, err error) {
	if row.Request == nil || row.Request.Echo == nil {
		// The row has gone from Redis. What became of it is known all the same.
		return e, nil
	}
	if err := json.Unmarshal(row.Request.Echo, &e); err != nil {
		return e, fmt.Errorf("read the request of row %d: %w", row.N, err)
	}
	return e, nil
}
