package record

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/results"
)

// Entry is what a producer knows of a task.
type Entry struct {
	// Result has the ids, the queue, the bot and the conversation. Create sets Status and CreatedAt if they are empty. With a
	// ConversationID and a ChatID, the worker looks that chat up before it asks.
	results.Result

	// Body is kept under BodyKey until the task has ended. The caller encrypts it.
	Body []byte

	// Kept is true for a row of a batch, whose question is kept with the batch. Body is then kept as long as the result, and a
	// result that has ended is written without custom_id, bot_id, user_id and queue. These four of the hash's nineteen fields
	// are a fifth of what a short answer takes in Redis, as 17 fields already take the room of 32.
	Kept bool

	// Keep overrides Store.Keep for this task; 0 = no override.
	Keep time.Duration

	// AskedAt is for a task taken over from an earlier run: when its question was last sent, if the outcome is not known.
	AskedAt time.Time

	// Tools is for such a task, too: the ToolRound that was noted last, as JSON.
	Tools []byte
}

// Create writes the record of a task that is about to be enqueued, and returns "". If the id has a record already, it changes
// nothing and returns that record's status.
func (s *Store) Create(ctx context.Context, e Entry) (results.Status, error) {
	c := e.create(s.results.Keys)
	return created(s.run(ctx, c.Script, c.Keys, c.Args), e.ID)
}

// CreateMany is Create for many records in one round trip. Both slices are aligned with entries: each record has a status or
// an error.
func (s *Store) CreateMany(ctx context.Context, entries []Entry) ([]results.Status, []error) {
	calls := make([]redisscript.Call, len(entries))
	for i := range entries {
		calls[i] = entries[i].create(s.results.Keys)
	}
	statuses, errs := make([]results.Status, len(entries)), make([]error, len(entries))
	for i, reply := range redisscript.Run(ctx, s.rdb, calls) {
		statuses[i], errs[i] = created(reply, entries[i].ID)
	}
	return statuses, errs
}

func (e Entry) create(k *results.Keys) redisscript.Call {
	if e.Status == "" {
		e.Status = results.Queued
	}
	if e.CreatedAt.IsZero() {
		e.CreatedAt = results.At(time.Now())
	}
	args := append([]any{seconds(openTTL), e.Body}, e.Seal(k, e.ID).Fields()...)
	if e.Keep > 0 {
		args = append(args, "keep", seconds(e.Keep))
	}
	if e.Kept {
		args = append(args, "kept", "1")
	}
	if !e.AskedAt.IsZero() {
		args = append(args, "asked_at", results.At(e.AskedAt).String())
	}
	if len(e.Tools) > 0 {
		args = append(args, "tools", k.Seal(e.ID, seal.Tools, string(e.Tools)))
	}
	return redisscript.Call{Script: createScript, Keys: []string{results.Key(e.ID), results.BodyKey(e.ID)}, Args: args}
}

func created(reply *redis.Cmd, id string) (results.Status, error) {
	status, err := reply.Text()
	if err != nil {
		return "", fmt.Errorf("create result %s: %w", id, err)
	}
	return results.Status(status), nil
}
