package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// What a response repeats of its request is noted before its task is enqueued, so that a task is never found without it. If
// the serve dies between the two the note stays alone and is not found, as the record decides.

// openNote is how long the note of a response is kept that nobody has seen ended: as long as an open record.
const openNote = 30 * 24 * time.Hour

// fieldNote is what a note is encrypted as.
const fieldNote = "response"

type note struct {
	Echo
	Input []tasks.Message `json:"input,omitempty"` // as the bot gets it; nil: longer than maxInput
}

// note keeps what a response that can be retrieved repeats of its request.
func (h *Handler) note(ctx context.Context, id string, a *Ask) error {
	if a.Echo.API != ResponsesAPI || !a.Echo.kept() {
		return nil
	}
	n := note{Echo: a.Echo, Input: a.Chat.AdditionalMessages}
	raw, err := messages.Encode(n)
	if err == nil && len(raw) > maxInput {
		n.Input = nil
		raw, err = messages.Encode(n)
	}
	if err != nil {
		return err
	}
	store, keep := h.results(), openNote
	if !a.Echo.Background { // nobody may ever look at it, and it is asked soon or not at all
		keep = time.Until(a.Chat.ExpiresAt) + tasks.DefaultTimeout + store.Keep
	}
	if err := store.Redis().Set(ctx, rediskey.Response(id), store.Keys.Seal(id, fieldNote, string(raw)), keep).Err(); err != nil {
		return fmt.Errorf("note response %s: %w", id, err)
	}
	return nil
}

// stored finds a response of the request's key. One that is not there, or not stored, is results.ErrNotFound.
func (h *Handler) stored(ctx context.Context, responseID string) (*note, *results.Result, error) {
	id, ok := strings.CutPrefix(responseID, responsePrefix)
	if !ok {
		return nil, nil, results.ErrNotFound
	}
	result, err := h.Submit.Result(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	store := h.results()
	text, err := store.Redis().Get(ctx, rediskey.Response(id)).Result()
	if err == redis.Nil {
		return nil, nil, results.ErrNotFound
	}
	if err == nil {
		text, err = store.Keys.Open(id, fieldNote, text)
	}
	n := new(note)
	if err == nil {
		err = json.Unmarshal([]byte(text), n)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read response %s: %w", id, err)
	}
	if result.Status.Terminal() { // from now on it is kept as long as the result
		_ = store.Redis().Expire(ctx, rediskey.Response(id), store.Keep).Err() // else it stays a little longer
	}
	return n, result, nil
}

func isNotFound(err error) bool { return errors.Is(err, results.ErrNotFound) }

func quote(id string) string { return fmt.Sprintf("%.100q", id) }
