package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// queuePauses pause asynq's queues for credentials that are paused. asynq's own key
// shows that to everybody; our note beside it has the same stamp, which tells our
// pauses from an operator's, and a field for each credential that the queue is paused
// for. Workers of other credentials go on: see dequeue.lua. Both keys share the
// queue's slot.
type queuePauses struct{ rdb redis.UniversalClient }

func queuePauseKey(queue string) string { return "cozeq:queue:{" + queue + "}:paused" }

func credentialField(credential string) string { return "credential:" + credential }

// probeDue in a credential's field lets its workers take one task.
const probeDue = "probe"

// queuesKey lists all queues that asynq knows: asynqmon shows no other.
const queuesKey = "asynq:queues"

func (q queuePauses) queues(ctx context.Context) ([]string, error) {
	queues, err := q.rdb.SMembers(ctx, queuesKey).Result()
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
func (q queuePauses) pause(ctx context.Context, queue, credential string) (fresh bool, err error) {
	if err := q.rdb.SAdd(ctx, queuesKey, queue).Err(); err != nil {
		return false, fmt.Errorf("pause queue %s: %w", queue, err)
	}
	fresh, err = pauseQueueScript.Run(ctx, q.rdb, []string{queueKey(queue, "paused"), queuePauseKey(queue)},
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

func (q queuePauses) resume(ctx context.Context, queue, credential string) error {
	keys := []string{queueKey(queue, "paused"), queuePauseKey(queue)}
	if err := resumeQueueScript.Run(ctx, q.rdb, keys, credentialField(credential)).Err(); err != nil {
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
func (q queuePauses) probe(ctx context.Context, queues []string, credential string) error {
	for _, queue := range queues {
		keys := []string{queueKey(queue, "pending"), queuePauseKey(queue)}
		found, err := probeQueueScript.Run(ctx, q.rdb, keys, credentialField(credential)).Bool()
		if err != nil {
			return fmt.Errorf("probe queue %s: %w", queue, err)
		}
		if found {
			return nil
		}
	}
	return nil
}

// queueNote is what we have noted of a queue's pause.
type queueNote struct {
	credentials []string // sorted; empty: we have not paused it
	stands      bool     // asynq's pause is ours still: an operator may have taken it away, or made it theirs
	since       string   // asynq's stamp, "" = not paused
}

// note reads who has paused a queue.
func (q queuePauses) note(ctx context.Context, queue string) (n queueNote, err error) {
	var stamp *redis.StringCmd
	var ours *redis.MapStringStringCmd
	_, err = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		stamp = p.Get(ctx, queueKey(queue, "paused"))
		ours = p.HGetAll(ctx, queuePauseKey(queue))
		return nil
	})
	if err != nil && err != redis.Nil {
		return n, fmt.Errorf("read the pause of queue %s: %w", queue, err)
	}
	for field := range ours.Val() {
		if credential, ok := strings.CutPrefix(field, credentialField("")); ok {
			n.credentials = append(n.credentials, credential)
		}
	}
	slices.Sort(n.credentials)
	n.since = stamp.Val()
	n.stands = n.since != "" && n.since == ours.Val()["stamp"]
	return n, nil
}
