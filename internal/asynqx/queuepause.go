package asynqx

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// QueuePauses pause asynq's queues for credentials that are paused. asynq's own key
// shows that to everybody; our note beside it has the same stamp, which tells our
// pauses from an operator's, and a field for each credential that the queue is paused
// for. Workers of other credentials go on: see dequeue.lua. Both keys share the
// queue's slot.
type QueuePauses struct{ Redis redis.UniversalClient }

func queuePauseKey(queue string) string { return "cozeq:queue:{" + queue + "}:paused" }

func credentialField(credential string) string { return "credential:" + credential }

// probeDue in a credential's field lets its workers take one task.
const probeDue = "probe"

// Queues lists all queues that asynq knows.
func (q QueuePauses) Queues(ctx context.Context) ([]string, error) {
	queues, err := q.Redis.SMembers(ctx, QueuesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return queues, nil
}

// pauseQueueScript pauses a queue as asynq's Inspector does, and notes for whom, in one
// step: a process that died between two would leave a pause that nobody undoes. An
// operator's pause is not touched. Neither is a queue that an operator has resumed: the
// sweep probes it first.
//
// KEYS: asynq's pause, ours. ARGV: now in seconds, credential, its field.
var pauseQueueScript = redis.NewScript(`
local stamp = redis.call('GET', KEYS[1])
if stamp ~= redis.call('HGET', KEYS[2], 'stamp') then return 0 end
if not stamp then
	redis.call('SET', KEYS[1], ARGV[1])
	redis.call('HSET', KEYS[2], 'stamp', ARGV[1], 'credential', ARGV[2])
end
return redis.call('HSETNX', KEYS[2], ARGV[3], '')`)

// pause pauses a queue for a credential. fresh is false if it was before, or an operator
// has paused it.
func (q QueuePauses) Pause(ctx context.Context, queue, credential string) (fresh bool, err error) {
	if err := Register(ctx, q.Redis, queue); err != nil {
		return false, err
	}
	fresh, err = pauseQueueScript.Run(ctx, q.Redis, []string{Key(queue, "paused"), queuePauseKey(queue)},
		time.Now().Unix(), credential, credentialField(credential)).Bool()
	if err != nil {
		return false, fmt.Errorf("pause queue %s: %w", queue, err)
	}
	return fresh, nil
}

// resumeQueueScript ends our pause for one credential, and the queue's with the last.
//
// KEYS: asynq's pause, ours. ARGV: the credential's field.
var resumeQueueScript = redis.NewScript(`
local stamp = redis.call('HGET', KEYS[2], 'stamp')
if not stamp then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
	local other = string.match(field, '^credential:(.+)$')
	if other then return redis.call('HSET', KEYS[2], 'credential', other) end
end
redis.call('DEL', KEYS[2])
if redis.call('GET', KEYS[1]) ~= stamp then return 0 end
return redis.call('DEL', KEYS[1])`)

func (q QueuePauses) Resume(ctx context.Context, queue, credential string) error {
	keys := []string{Key(queue, "paused"), queuePauseKey(queue)}
	if err := resumeQueueScript.Run(ctx, q.Redis, keys, credentialField(credential)).Err(); err != nil {
		return fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return nil
}

// probeQueueScript lets the workers of a credential take one task from a queue that is
// paused for it, if there is one.
//
// KEYS: pending, ours. ARGV: the credential's field.
var probeQueueScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 or redis.call('LLEN', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], '` + probeDue + `')
return 1`)

// probe lets one task be taken from the first of these queues that has one.
func (q QueuePauses) Probe(ctx context.Context, queues []string, credential string) error {
	for _, queue := range queues {
		keys := []string{Key(queue, "pending"), queuePauseKey(queue)}
		found, err := probeQueueScript.Run(ctx, q.Redis, keys, credentialField(credential)).Bool()
		if err != nil {
			return fmt.Errorf("probe queue %s: %w", queue, err)
		}
		if found {
			return nil
		}
	}
	return nil
}

// QueueNote is what we have noted of a queue's pause.
type QueueNote struct {
	Credentials []string // sorted; empty: we have not paused it
	Stands      bool     // asynq's pause is ours still: an operator may have taken it away, or made it theirs
	Since       string   // asynq's stamp, "" = not paused
}

// note reads who has paused a queue.
func (q QueuePauses) Note(ctx context.Context, queue string) (n QueueNote, err error) {
	var stamp *redis.StringCmd
	var ours *redis.MapStringStringCmd
	_, err = q.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		stamp = p.Get(ctx, Key(queue, "paused"))
		ours = p.HGetAll(ctx, queuePauseKey(queue))
		return nil
	})
	if err != nil && err != redis.Nil {
		return n, fmt.Errorf("read the pause of queue %s: %w", queue, err)
	}
	for field := range ours.Val() {
		if credential, ok := strings.CutPrefix(field, credentialField("")); ok {
			n.Credentials = append(n.Credentials, credential)
		}
	}
	slices.Sort(n.Credentials)
	n.Since = stamp.Val()
	n.Stands = n.Since != "" && n.Since == ours.Val()["stamp"]
	return n, nil
}

// operatorPauseScript pauses a queue for an operator; without our note beside it a
// pause is theirs.
//
// KEYS: asynq's pause, ours. ARGV: now in seconds.
var operatorPauseScript = redis.NewScript(`
local stamp = redis.call('HGET', KEYS[2], 'stamp')
redis.call('DEL', KEYS[2])
if redis.call('SETNX', KEYS[1], ARGV[1]) == 1 then return 1 end
if stamp and redis.call('GET', KEYS[1]) == stamp then return 1 end
return 0`)

// OperatorPause pauses a queue for an operator, as asynqmon would: nothing but
// OperatorResume or asynqmon ends that. A pause that cozeq has made becomes the
// operator's. fresh is false if it was one already.
func (q QueuePauses) OperatorPause(ctx context.Context, queue string) (fresh bool, err error) {
	if err := Register(ctx, q.Redis, queue); err != nil {
		return false, err
	}
	keys := []string{Key(queue, "paused"), queuePauseKey(queue)}
	fresh, err = operatorPauseScript.Run(ctx, q.Redis, keys, time.Now().Unix()).Bool()
	if err != nil {
		return false, fmt.Errorf("pause queue %s: %w", queue, err)
	}
	return fresh, nil
}

// operatorResumeScript ends a pause that is not ours.
//
// KEYS: asynq's pause, ours.
var operatorResumeScript = redis.NewScript(`
local stamp = redis.call('GET', KEYS[1])
if not stamp or redis.call('HGET', KEYS[2], 'stamp') == stamp then return 0 end
return redis.call('DEL', KEYS[1])`)

// OperatorResume ends an operator's pause; resumed is false if there is none. One that
// cozeq has made ends when a probe gets through.
func (q QueuePauses) OperatorResume(ctx context.Context, queue string) (resumed bool, err error) {
	keys := []string{Key(queue, "paused"), queuePauseKey(queue)}
	resumed, err = operatorResumeScript.Run(ctx, q.Redis, keys).Bool()
	if err != nil {
		return false, fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return resumed, nil
}
