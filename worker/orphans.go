package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
)

// asynq brings the tasks of a worker that died back after 55 to 120 s, uses up a
// retry for each, and cannot be told otherwise; a task that is active without a
// lease (a failed-over Redis) it never brings back. Both are found here.
//
// A live Server extends the lease of each of its tasks to 30 s every 5 s, so a
// lease with less than orphanLease left means that its Server has missed two beats
// and more: it is dead, or frozen, or cut off. Its tasks go back to the head of
// their queue, as asynq's own shutdown does it, with their retries untouched. A
// worker that dies right after a beat is found out 30 s - orphanLease = 13 s later,
// at most orphanEvery more.
//
// The guess may be wrong: the Server was only slow. Then two handlers run for one
// task.
//
//   - The second begins before the first ends the record: its Begin fences the
//     first, and it looks up the chat that the first had noted. The first finds
//     itself fenced at its next write and gives the task back to asynq for later,
//     which takes it off the active list under the second's feet. The second ends
//     the record all the same, asynq does not find what it would mark as done, and
//     the task comes back a last time to find its record ended.
//   - The first ends the record before the second begins: the second finds it ended.
//
// Either way the question is asked once and its answer written once.
const (
	orphanLease = 17 * time.Second
	orphanChunk = 100 // tasks moved by one script, as asynq's own scripts do

	// strayEvery is how often active tasks without a lease are looked for: that
	// reads the whole list of active tasks, and only a failover makes them.
	strayEvery = 10 * time.Second
	strayChunk = 1000
)

// dueScript lists tasks whose leases run out, each with its message, "" if that is gone.
//
// KEYS: lease. ARGV: lease limit in Unix seconds, prefix of task keys, how many at most.
var dueScript = redis.NewScript(`
local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
	local msg = redis.pcall('HGET', ARGV[2] .. id, 'msg')
	reply[#reply + 1] = id
	reply[#reply + 1] = type(msg) == 'string' and msg or ''
end
return reply`)

// orphanScript puts tasks whose lease runs out back to the head of the queue, but those
// that have a longer one since they were seen, or have left. It answers with those that it
// has put back.
//
// KEYS: lease, active, pending. ARGV: lease limit in Unix seconds, prefix of task keys,
// now in nanoseconds, then the ids.
var orphanScript = redis.NewScript(`
local back = {}
for i = 4, #ARGV do
	local id = ARGV[i]
	local lease = redis.call('ZSCORE', KEYS[1], id)
	if lease and tonumber(lease) <= tonumber(ARGV[1]) then
		redis.call('ZREM', KEYS[1], id)
		if redis.call('LREM', KEYS[2], 0, id) > 0 and redis.call('EXISTS', ARGV[2] .. id) == 1 then
			redis.call('HSET', ARGV[2] .. id, 'state', 'pending', 'pending_since', ARGV[3])
			redis.call('RPUSH', KEYS[3], id)
			back[#back + 1] = id
		end
	end
end
return back`)

// strayScript puts one active task without a lease back, unless it has got one or
// has left since it was seen.
//
// KEYS: lease, active, pending, task. ARGV: id, now in nanoseconds.
var strayScript = redis.NewScript(`
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('LREM', KEYS[2], 0, ARGV[1]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[4]) == 0 then return 0 end
redis.call('HSET', KEYS[4], 'state', 'pending', 'pending_since', ARGV[2])
redis.call('RPUSH', KEYS[3], ARGV[1])
return 1`)

// reviveOrphans brings the tasks of dead workers back.
func (w *Worker) reviveOrphans(ctx context.Context) error {
	for _, queue := range w.gate.Queues {
		if err := w.reviveOrphansOf(ctx, queue); err != nil {
			return fmt.Errorf("put back orphans of queue %s: %w", queue, err)
		}
	}
	return nil
}

func (w *Worker) reviveOrphansOf(ctx context.Context, queue string) error {
	keys := []string{asynqx.Key(queue, "lease"), asynqx.Key(queue, "active"), asynqx.Key(queue, "pending")}
	for {
		now := time.Now()
		limit, prefix := now.Add(orphanLease).Unix(), asynqx.Key(queue, "t:")
		due, err := dueScript.Run(ctx, w.cfg.Redis, keys[:1], limit, prefix, orphanChunk).StringSlice()
		if err != nil {
			return err
		}
		args := []any{limit, prefix, now.UnixNano()}
		for task := range slices.Chunk(due, 2) {
			id, raw := task[0], task[1]
			if why := poisoned(queue, id, raw); why == "" {
				args = append(args, id)
			} else if err := w.discard(ctx, queue, id, raw, why); err != nil {
				return err
			}
		}
		if len(args) > 3 {
			back, err := orphanScript.Run(ctx, w.cfg.Redis, keys, args...).StringSlice()
			if err != nil {
				return err
			}
			for _, id := range back {
				w.revived(queue, id, "its worker is gone")
			}
		}
		if len(due) < 2*orphanChunk {
			return nil
		}
	}
}

// reviveStrays brings back tasks that are active without a lease.
func (w *Worker) reviveStrays(ctx context.Context) error {
	for _, queue := range w.gate.Queues {
		if err := w.reviveStraysOf(ctx, queue); err != nil {
			return fmt.Errorf("put back strays of queue %s: %w", queue, err)
		}
	}
	return nil
}

func (w *Worker) reviveStraysOf(ctx context.Context, queue string) error {
	ids, err := w.cfg.Redis.LRange(ctx, asynqx.Key(queue, "active"), 0, -1).Result()
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, strayChunk) {
		leases := make([]*redis.FloatCmd, len(chunk))
		_, err := w.cfg.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range chunk {
				leases[i] = p.ZScore(ctx, asynqx.Key(queue, "lease"), id)
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		for i, lease := range leases {
			if !errors.Is(lease.Err(), redis.Nil) {
				continue
			}
			raw, err := w.cfg.Redis.HGet(ctx, asynqx.Key(queue, "t:"+chunk[i]), "msg").Result()
			if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
				return err
			}
			if why := poisoned(queue, chunk[i], raw); why != "" {
				if err := w.discard(ctx, queue, chunk[i], raw, why); err != nil {
					return err
				}
				continue
			}
			moved, err := strayScript.Run(ctx, w.cfg.Redis, []string{
				asynqx.Key(queue, "lease"), asynqx.Key(queue, "active"), asynqx.Key(queue, "pending"), asynqx.Key(queue, "t:"+chunk[i]),
			}, chunk[i], time.Now().UnixNano()).Int()
			if err != nil {
				return err
			}
			if moved == 1 {
				w.revived(queue, chunk[i], "it was active without a lease")
			}
		}
	}
	return nil
}

func (w *Worker) revived(queue, id, why string) {
	w.log.Warn("task put back in the queue: "+why, "task", id, "queue", queue)
	w.cfg.Metrics.Revived()
}
