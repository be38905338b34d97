package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

// A poison task is one that asynq can never finish, whatever its handler does: its message
// is gone or cannot be read, or names another task or another queue, as after keys were
// moved by hand, a restore of half a database, or a disk fault. asynq would give it out
// for ever. It never reaches a handler (gatedClient.dequeue), so its lease runs out, and
// the sweep that looks after such leases takes it out of the way, once:
//
//  1. its record, if it is open, ends as failed, class invalid, and its conversation and
//     its batch go on;
//  2. it leaves asynq's lists and is listed for cozeq queues, in one step.
//
// A sweep that dies between the two finds the task again, its record ended, and does 2.
//
// One kind never gets that far: see jamScript.

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

// poisonAdvice is what to do about a poison task.
const poisonAdvice = "enqueue the question again under another id; look into what wrote to asynq's keys in Redis"

// Unreadable is a task that was taken out of the way: see Unreadables.
type Unreadable struct {
	Queue string    `json:"queue"`
	ID    string    `json:"id"`
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
	Hint  string    `json:"hint"`
}

func unreadableKey(queue string) string { return "cozeq:queue:{" + queue + "}:unreadable" }

// What is kept of poison tasks, and of what is left of their messages.
const (
	unreadableTTL  = 7 * 24 * time.Hour
	unreadableMost = 1000
)

// discardScript takes a task out of asynq's lists and notes why, unless it has got another
// message since: then only its place among those at work goes, as it is pending again.
//
// KEYS: lease, active, task, unreadable, scheduled, retry. ARGV: id, message that was seen
// or "", note, TTL in seconds, most notes.
var discardScript = redis.NewScript(`
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('LREM', KEYS[2], 0, ARGV[1])
local now = redis.pcall('HGET', KEYS[3], 'msg')
if type(now) ~= 'string' then now = '' end
if now ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[4])
if redis.call('HLEN', KEYS[4]) < tonumber(ARGV[5]) then redis.call('HSET', KEYS[4], ARGV[1], ARGV[3]) end
redis.call('EXPIRE', KEYS[4], ARGV[4])
return 1`)

// discard takes a poison task out of the way.
func (w *Worker) discard(ctx context.Context, queue, id, raw, why string) error {
	elsewhere, err := w.isElsewhere(ctx, queue, id, raw)
	if err != nil {
		return err
	}
	if !elsewhere {
		failure := &results.Failure{Class: string(coze.ClassInvalid), Message: "the queue cannot hand the task out: " + why, Hint: poisonAdvice, Unencrypted: true}
		err := w.endLost(ctx, results.Result{ID: id, Queue: queue}, results.Failed, failure)
		if _, own := errors.AsType[*results.KeyError](err); err != nil && !own && !errors.Is(err, record.ErrFenced) {
			return err
		}
	}
	note, err := json.Marshal(Unreadable{Queue: queue, ID: id, Why: why, Since: time.Now().UTC().Truncate(time.Millisecond), Hint: poisonAdvice})
	if err != nil {
		return err
	}
	n, err := discardScript.Run(ctx, w.cfg.Redis, []string{asynqx.Key(queue, "lease"), asynqx.Key(queue, "active"), asynqx.Key(queue, "t:"+id), unreadableKey(queue),
		asynqx.Key(queue, "scheduled"), asynqx.Key(queue, "retry")},
		id, raw, note, int64(unreadableTTL/time.Second), unreadableMost).Int()
	if err == nil && n == 1 {
		w.log.Error("task taken out of the queue, as it can never be worked on: "+why, "task", id, "queue", queue, "hint", poisonAdvice)
	}
	return err
}

// jamScript lists due tasks whose key holds something else than a hash. asynq's script that
// moves due tasks to the queue fails at the first of them, and leaves all that come after it:
// no task of the queue would be tried again.
//
// KEYS: scheduled or retry. ARGV: now in Unix seconds, prefix of task keys, how many to look at.
var jamScript = redis.NewScript(`
local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
	local kind = redis.call('TYPE', ARGV[2] .. id).ok
	if kind ~= 'hash' and kind ~= 'none' then reply[#reply + 1] = id end
end
return reply`)

// clearJams takes those tasks out of the way. They never become active, so no lease of
// theirs runs out.
func (w *Worker) clearJams(ctx context.Context) error {
	for _, queue := range w.gate.Queues {
		for _, set := range []string{"scheduled", "retry"} {
			ids, err := jamScript.Run(ctx, w.cfg.Redis, []string{asynqx.Key(queue, set)}, time.Now().Unix(), asynqx.Key(queue, "t:"), orphanChunk).StringSlice()
			if err != nil {
				return fmt.Errorf("look for what holds up queue %s: %w", queue, err)
			}
			for _, id := range ids {
				if err := w.discard(ctx, queue, id, "", "its key in Redis holds no task"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// isElsewhere reports whether the task is in the queue that its message names, too: then
// its record is that one's.
func (w *Worker) isElsewhere(ctx context.Context, queue, id, raw string) (bool, error) {
	named, in, ok := asynqx.Message(raw)
	if !ok || named != id || in == queue {
		return false, nil
	}
	n, err := w.cfg.Redis.Exists(ctx, asynqx.Key(in, "t:"+id)).Result()
	return n > 0, err
}

// Unreadables lists the tasks that were taken out of these queues because nobody could ever
// finish them, the oldest first. Each is listed for some days.
func Unreadables(ctx context.Context, rdb redis.UniversalClient, queues ...string) ([]Unreadable, error) {
	var all []Unreadable
	for _, queue := range queues {
		notes, err := rdb.HGetAll(ctx, unreadableKey(queue)).Result()
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

// endLost ends the record of a task that no worker will come to, and lets its conversation
// and its batch go on. A chat that is noted is canceled. A record that has ended stays.
func (w *Worker) endLost(ctx context.Context, seed results.Result, status results.Status, why *results.Failure) error {
	rec, err := w.records.Begin(ctx, seed, false)
	if err != nil {
		return err
	}
	r := &rec.Result
	r.Queue = cmp.Or(r.Queue, seed.Queue)
	if rec.Made {
		over, err := w.tally.Ended(ctx, r.ID)
		if err != nil {
			return err
		}
		if over {
			return w.results.Delete(ctx, r.ID) // a run has collected it
		}
	}
	if !rec.Ended {
		if r.ChatID != "" {
			w.cancelLost(ctx, r)
		}
		r.Status, r.Error = status, why
		if err := rec.Finish(ctx, false); err != nil {
			return err
		}
	}
	if err := w.tally.MarkResult(ctx, r); err != nil || r.Lane == "" {
		return err
	}
	return w.lanes.Leave(ctx, lane.Place{Lane: r.Lane, Queue: r.Queue, ID: r.ID})
}

func (w *Worker) cancelLost(ctx context.Context, r *results.Result) {
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	if _, err := w.coze.CancelChat(ctx, r.ConversationID, r.ChatID); err != nil {
		w.log.Warn("could not cancel the chat of a task that is gone", "task", r.ID, "chat", r.ChatID, "err", err)
	}
}
