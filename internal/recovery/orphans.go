package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/pipeline"
)

// asynq brings back the tasks of a dead worker after 55 to 120 s, uses up a retry for each, and has no setting for either.
// A task that is active without a lease (after a Redis failover) it never brings back. The sweep does both.
//
// A live server extends the lease of each of its tasks to 30 s every 5 s. A lease with less than orphanLease left means that
// its server has missed two beats and more: it is dead, frozen or cut off. Its tasks go back to the head of their queue, as
// asynq's own shutdown does it, with their retries untouched. If a worker dies right after a beat, its tasks are due
// 30 s - orphanLease = 13 s later, and put back within another sweepEvery.
//
// The guess may be wrong: the server was only slow. Then two handlers run for one task.
//
//   - The second begins before the first ends the record. Its Begin fences the first, and it looks up the chat that the
//     first had noted. The first finds itself fenced at its next write and gives the task back to asynq for later, which
//     takes it off the active list although the second still runs. The second ends the record all the same. asynq does not
//     find the task that it would mark as done, so the task comes back a last time and finds its record ended.
//   - The first ends the record before the second begins. The second finds it ended.
//
// Either way the question is asked once and its answer written once.
const (
	orphanLease = 17 * time.Second
	orphanChunk = 100 // tasks moved by one script, as asynq's own scripts do

	// strayEvery is how often active tasks without a lease are looked for. That reads the whole list of active tasks, and
	// only a failover makes them.
	strayEvery = 10 * time.Second
	strayChunk = 1000
)

var (
	dueScript     = pipeline.Script(sources, "due.lua")
	orphansScript = pipeline.Script(sources, "orphans.lua")
	strayScript   = pipeline.Script(sources, "stray.lua")
)

// reviveOrphans puts the tasks of dead workers back.
func (s *Sweeper) reviveOrphans(ctx context.Context) error {
	for _, queue := range s.Queues {
		if err := s.reviveOrphansOf(ctx, queue); err != nil {
			return fmt.Errorf("put back orphans of queue %s: %w", queue, err)
		}
	}
	return nil
}

func (s *Sweeper) reviveOrphansOf(ctx context.Context, queue string) error {
	keys := []string{asynqx.Key(queue, "lease"), asynqx.Key(queue, "active"), asynqx.Key(queue, "pending")}
	for {
		now := time.Now()
		limit, prefix := now.Add(orphanLease).Unix(), asynqx.Key(queue, "t:")
		due, err := dueScript.Run(ctx, s.Redis, keys[:1], limit, prefix, orphanChunk).StringSlice()
		if err != nil {
			return err
		}
		args := []any{limit, prefix, now.UnixNano()}
		for task := range slices.Chunk(due, 2) {
			id, raw := task[0], task[1]
			if why := poisoned(queue, id, raw); why == "" {
				args = append(args, id)
			} else if err := s.discard(ctx, queue, id, raw, why); err != nil {
				return err
			}
		}
		if len(args) > 3 {
			back, err := orphansScript.Run(ctx, s.Redis, keys, args...).StringSlice()
			if err != nil {
				return err
			}
			for _, id := range back {
				s.revived(queue, id, "its worker is gone")
			}
		}
		if len(due) < 2*orphanChunk {
			return nil
		}
	}
}

// reviveStrays puts active tasks without a lease back.
func (s *Sweeper) reviveStrays(ctx context.Context) error {
	for _, queue := range s.Queues {
		ids, err := s.Redis.LRange(ctx, asynqx.Key(queue, "active"), 0, -1).Result()
		for chunk := range slices.Chunk(ids, strayChunk) {
			if err == nil {
				err = s.reviveStraysOf(ctx, queue, chunk)
			}
		}
		if err != nil {
			return fmt.Errorf("put back strays of queue %s: %w", queue, err)
		}
	}
	return nil
}

func (s *Sweeper) reviveStraysOf(ctx context.Context, queue string, ids []string) error {
	leases := make([]*redis.FloatCmd, len(ids))
	_, err := s.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
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
		if err := s.reviveStray(ctx, queue, ids[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sweeper) reviveStray(ctx context.Context, queue, id string) error {
	raw, err := s.Redis.HGet(ctx, asynqx.Key(queue, "t:"+id), "msg").Result()
	if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
		return err
	}
	if why := poisoned(queue, id, raw); why != "" {
		return s.discard(ctx, queue, id, raw, why)
	}
	keys := []string{asynqx.Key(queue, "lease"), asynqx.Key(queue, "active"), asynqx.Key(queue, "pending"), asynqx.Key(queue, "t:"+id)}
	moved, err := strayScript.Run(ctx, s.Redis, keys, id, time.Now().UnixNano()).Bool()
	if moved {
		s.revived(queue, id, "it was active without a lease")
	}
	return err
}

func (s *Sweeper) revived(queue, id, why string) {
	s.Log.Warn("task put back in the queue: "+why, "task", id, "queue", queue)
	s.Revived()
}
