package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/results"
)

// A poison message belongs to a task that asynq can never finish, whatever its handler does: the message is gone, cannot be
// read, or names another task or another queue. That happens after keys were moved by hand, a restore of half a database, or
// a disk fault. asynq would hand the task out for ever. The Poller (internal/asynqx) keeps it from the handlers, so its lease
// runs out, and the sweep takes it out of the queue, once:
//
//  1. its record, if it is open, ends as failed, class invalid, and its conversation and its batch go on;
//  2. it leaves asynq's lists and is listed for cozeq queues, in one step.
//
// A sweep that dies between the two finds the task again, its record ended, and does 2.
//
// A task whose key holds no hash never becomes active, so no lease of it runs out: see jams.lua.

// What is kept of poison messages, and of the tasks they belong to.
const (
	unreadableTTL  = 7 * 24 * time.Hour
	unreadableMost = 1000
)

const poisonAdvice = "enqueue the question again under another id; look into what wrote to asynq's keys in Redis"

var (
	discardScript = redisscript.Script(sources, "discard.lua")
	jamsScript    = redisscript.Script(sources, "jams.lua")
)

// poisoned says why the task of this id in this queue can never be finished, "" if it can.
func poisoned(queue, id, raw string) string {
	if raw == "" {
		return "its message is gone from Redis"
	}
	named, in, ok := asynqx.Message(raw)
	switch {
	case !ok:
		return "its message in Redis cannot be read"
	case named != id:
		return fmt.Sprintf("its message is that of task %q", named)
	case in != queue:
		return fmt.Sprintf("its message names queue %q", in)
	}
	return ""
}

// discard takes the task of a poison message out of the queue.
func (s *Sweeper) discard(ctx context.Context, queue, id, raw, why string) error {
	elsewhere, err := s.isElsewhere(ctx, queue, id, raw)
	if err != nil {
		return err
	}
	if !elsewhere {
		failure := &results.Failure{Class: string(coze.ClassInvalid), Message: "the queue cannot hand the task out: " + why, Hint: poisonAdvice, Unencrypted: true}
		err := s.end(ctx, results.Result{ID: id, Queue: queue}, results.Failed, failure)
		if _, own := errors.AsType[*results.KeyError](err); err != nil && !own && !errors.Is(err, record.ErrFenced) {
			return err
		}
	}
	note, err := json.Marshal(Unreadable{Queue: queue, ID: id, Why: why, Since: time.Now().UTC().Truncate(time.Millisecond), Hint: poisonAdvice})
	if err != nil {
		return err
	}
	keys := []string{asynqx.Key(queue, "lease"), asynqx.Key(queue, "active"), asynqx.Key(queue, "t:"+id), rediskey.QueueUnreadable(queue),
		asynqx.Key(queue, "scheduled"), asynqx.Key(queue, "retry")}
	discarded, err := discardScript.Run(ctx, s.Redis, keys, id, raw, note, int64(unreadableTTL/time.Second), unreadableMost).Bool()
	if discarded {
		s.Log.Error("task taken out of the queue, as it can never be worked on: "+why, "task", id, "queue", queue, "hint", poisonAdvice)
	}
	return err
}

// isElsewhere reports whether the task is also in the queue that its message names. Then the record belongs to that one.
func (s *Sweeper) isElsewhere(ctx context.Context, queue, id, raw string) (bool, error) {
	named, in, ok := asynqx.Message(raw)
	if !ok || named != id || in == queue {
		return false, nil
	}
	n, err := s.Redis.Exists(ctx, asynqx.Key(in, "t:"+id)).Result()
	return n > 0, err
}

// clearJams takes due tasks whose keys hold no hash out of their queues.
func (s *Sweeper) clearJams(ctx context.Context) error {
	for _, queue := range s.Queues {
		for _, set := range []string{"scheduled", "retry"} {
			ids, err := jamsScript.Run(ctx, s.Redis, []string{asynqx.Key(queue, set)}, time.Now().Unix(), asynqx.Key(queue, "t:"), orphanChunk).StringSlice()
			if err != nil {
				return fmt.Errorf("look for what holds up queue %s: %w", queue, err)
			}
			for _, id := range ids {
				if err := s.discard(ctx, queue, id, "", "its key in Redis holds no task"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Unreadable is a task that was taken out of its queue because of a poison message.
type Unreadable struct {
	Queue string    `json:"queue"`
	ID    string    `json:"id"`
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
	Hint  string    `json:"hint"`
}

// Unreadables lists the tasks that were taken out of these queues within the last days, the oldest first.
func Unreadables(ctx context.Context, rdb redis.UniversalClient, queues ...string) ([]Unreadable, error) {
	var all []Unreadable
	for _, queue := range queues {
		notes, err := rdb.HGetAll(ctx, rediskey.QueueUnreadable(queue)).Result()
		if err != nil {
			return nil, fmt.Errorf("list the unreadable tasks of queue %s: %w", queue, err)
		}
		for _, note := range notes {
			var u Unreadable
			if json.Unmarshal([]byte(note), &u) == nil {
				all = append(all, u)
			}
		}
	}
	slices.SortFunc(all, func(a, b Unreadable) int { return a.Since.Compare(b.Since) })
	return all, nil
}
