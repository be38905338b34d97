package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// queuePauses pause asynq's queues, and tell our pauses from an operator's: beside
// asynq's own key stands ours with the same stamp. Both keys share the queue's slot.
type queuePauses struct{ rdb redis.UniversalClient }

func queuePauseKey(queue string) string { return "cozeq:queue:{" + queue + "}:paused" }

// pauseQueueScript pauses a queue as asynq's Inspector does, and notes that it was
// us, in one step: a process that died between two would leave a pause that nobody
// undoes. A queue that is paused already is somebody else's or ours: not touched.
//
// KEYS: asynq's pause, ours. ARGV: now in seconds, credential.
var pauseQueueScript = redis.NewScript(`
if redis.call('SETNX', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'stamp', ARGV[1], 'credential', ARGV[2])
return 1`)

// pause pauses a queue for a credential.
func (q queuePauses) pause(ctx context.Context, queue, credential string) error {
	// asynqmon shows no queue that asynq does not know.
	if err := q.rdb.SAdd(ctx, "asynq:queues", queue).Err(); err != nil {
		return fmt.Errorf("pause queue %s: %w", queue, err)
	}
	err := pauseQueueScript.Run(ctx, q.rdb, []string{queueKey(queue, "paused"), queuePauseKey(queue)},
		time.Now().Unix(), credential).Err()
	if err != nil {
		return fmt.Errorf("pause queue %s: %w", queue, err)
	}
	return nil
}

// resumeQueueScript undoes our pause and no other.
//
// KEYS: asynq's pause, ours.
var resumeQueueScript = redis.NewScript(`
local stamp = redis.call('HGET', KEYS[2], 'stamp')
if not stamp then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('GET', KEYS[1]) ~= stamp then return 0 end
return redis.call('DEL', KEYS[1])`)

func (q queuePauses) resume(ctx context.Context, queue string) error {
	err := resumeQueueScript.Run(ctx, q.rdb, []string{queueKey(queue, "paused"), queuePauseKey(queue)}).Err()
	if err != nil {
		return fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return nil
}

// state reads who paused a queue: the credential, if it was us, and whether asynq's
// pause still stands: an operator may have taken ours away.
func (q queuePauses) state(ctx context.Context, queue string) (credential string, paused bool, err error) {
	var stamp *redis.StringCmd
	var ours *redis.SliceCmd
	_, err = q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		stamp = p.Get(ctx, queueKey(queue, "paused"))
		ours = p.HMGet(ctx, queuePauseKey(queue), "stamp", "credential")
		return nil
	})
	if err != nil && err != redis.Nil {
		return "", false, fmt.Errorf("read the pause of queue %s: %w", queue, err)
	}
	values := ours.Val()
	if len(values) == 2 {
		credential, _ = values[1].(string)
	}
	return credential, stamp.Val() != "", nil
}
