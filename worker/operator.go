package worker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// QueuePause is a pause of one queue, as asynqmon shows it.
type QueuePause struct {
	Since       time.Time
	Credentials []string // whose pauses it comes from, sorted; empty: an operator's, which stops all workers
	Others      []string // other credentials, whose workers go on with the queue
}

// PausedQueue returns the pause of a queue; ok is false if there is none.
func PausedQueue(ctx context.Context, rdb redis.UniversalClient, queue string) (p QueuePause, ok bool, err error) {
	note, err := queuePauses{rdb}.note(ctx, queue)
	if err != nil || note.since == "" {
		return p, false, err
	}
	seconds, _ := strconv.ParseInt(note.since, 10, 64)
	p.Since = time.Unix(seconds, 0).UTC()
	if !note.stands || len(note.credentials) == 0 {
		return p, true, nil
	}
	p.Credentials = note.credentials
	p.Others, err = rdb.ZRangeByScore(ctx, servedKey(queue), &redis.ZRangeBy{Min: oldest(), Max: "+inf"}).Result()
	if err != nil {
		return p, false, fmt.Errorf("read who serves queue %s: %w", queue, err)
	}
	p.Others = slices.DeleteFunc(p.Others, func(c string) bool { return slices.Contains(p.Credentials, c) })
	return p, true, nil
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

// PauseQueue pauses a queue for an operator, as asynqmon would: nothing but
// ResumeQueue or asynqmon ends that. A pause that cozeq has made becomes the
// operator's. fresh is false if it was one already.
func PauseQueue(ctx context.Context, rdb redis.UniversalClient, queue string) (fresh bool, err error) {
	if err := rdb.SAdd(ctx, queuesKey, queue).Err(); err != nil {
		return false, fmt.Errorf("pause queue %s: %w", queue, err)
	}
	keys := []string{queueKey(queue, "paused"), queuePauseKey(queue)}
	fresh, err = operatorPauseScript.Run(ctx, rdb, keys, time.Now().Unix()).Bool()
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

// ResumeQueue ends an operator's pause; resumed is false if there is none. One that
// cozeq has made ends when a probe gets through: see ProbeNow.
func ResumeQueue(ctx context.Context, rdb redis.UniversalClient, queue string) (resumed bool, err error) {
	keys := []string{queueKey(queue, "paused"), queuePauseKey(queue)}
	resumed, err = operatorResumeScript.Run(ctx, rdb, keys).Bool()
	if err != nil {
		return false, fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return resumed, nil
}

// holdsChunk is how many ids are looked up in one go.
const holdsChunk = 1000

// Holds tells of each of a queue's tasks whether it waits aside for the end of p.
func (p Pause) Holds(ctx context.Context, rdb redis.UniversalClient, queue string, ids []string) ([]bool, error) {
	key := asideKey(pauseKey(p.Credential, p.BotID))
	held := make([]bool, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), holdsChunk)
		members := make([]any, n)
		for i, id := range ids[:n] {
			members[i] = queue + "/" + id
		}
		part, err := rdb.SMIsMember(ctx, key, members...).Result()
		if err != nil {
			return nil, fmt.Errorf("read who stepped aside: %w", err)
		}
		held, ids = append(held, part...), ids[n:]
	}
	return held, nil
}
