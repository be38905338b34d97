package asynqx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redisscript"
)

// OrphanLease is the lease that a task of a live server never falls below: a server extends the lease of each of its tasks
// to 30 s every 5 s, so one with less has missed two beats and more. It is dead, or frozen, or cut off.
const OrphanLease = 17 * time.Second

// Leases are those of the active tasks of queues. asynq brings the tasks of a server that died back after 55 to 120 s, and
// one that is active without a lease (a failed-over Redis) never. Here they are found, and put back at the head of their
// queue as asynq's own shutdown does it, with their retries untouched.
type Leases struct{ Redis redis.UniversalClient }

// Leased is an active task with its message as asynq keeps it, "" if that is gone.
type Leased struct{ ID, Message string }

var (
	dueScript     = redisscript.Script(sources, "due.lua")
	orphansScript = redisscript.Script(sources, "orphans.lua")
	strayScript   = redisscript.Script(sources, "stray.lua")
)

// Due returns tasks of a queue whose lease ends before limit, most at most.
func (l Leases) Due(ctx context.Context, queue string, limit time.Time, most int) ([]Leased, error) {
	flat, err := dueScript.Run(ctx, l.Redis, []string{Key(queue, "lease")}, limit.Unix(), Key(queue, "t:"), most).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("look for leases of queue %s that run out: %w", queue, err)
	}
	due := make([]Leased, 0, len(flat)/2)
	for pair := range slices.Chunk(flat, 2) {
		due = append(due, Leased{pair[0], pair[1]})
	}
	return due, nil
}

// PutBackDue puts tasks back whose lease still ends before limit, and returns those.
func (l Leases) PutBackDue(ctx context.Context, queue string, limit time.Time, ids []string) ([]string, error) {
	args := make([]any, 3, 3+len(ids))
	args[0], args[1], args[2] = limit.Unix(), Key(queue, "t:"), time.Now().UnixNano()
	for _, id := range ids {
		args = append(args, id)
	}
	keys := []string{Key(queue, "lease"), Key(queue, "active"), Key(queue, "pending")}
	back, err := orphansScript.Run(ctx, l.Redis, keys, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("put tasks back in queue %s: %w", queue, err)
	}
	return back, nil
}

// strayChunk is how many leases one pipeline reads.
const strayChunk = 1000

// Strays returns tasks of a queue that are active without a lease. It reads the whole list of active tasks.
//
// Race: a task that ends after the list was read has no lease either, and its message may be gone. asynq takes a task off the
// list and out of the leases in one step, so one that is listed again afterwards has not ended.
func (l Leases) Strays(ctx context.Context, queue string) (strays []Leased, err error) {
	ids, err := l.active(ctx, queue)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(ids, strayChunk) {
		leases := make([]*redis.FloatCmd, len(chunk))
		_, err := l.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range chunk {
				leases[i] = p.ZScore(ctx, Key(queue, "lease"), id)
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("read the leases of queue %s: %w", queue, err)
		}
		for i, lease := range leases {
			if !errors.Is(lease.Err(), redis.Nil) {
				continue
			}
			raw, err := l.Redis.HGet(ctx, Key(queue, "t:"+chunk[i]), "msg").Result()
			if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
				return nil, fmt.Errorf("read task %s of queue %s: %w", chunk[i], queue, err)
			}
			strays = append(strays, Leased{chunk[i], raw})
		}
	}
	if len(strays) == 0 {
		return nil, nil
	}
	if ids, err = l.active(ctx, queue); err != nil {
		return nil, err
	}
	slices.Sort(ids)
	return slices.DeleteFunc(strays, func(s Leased) bool {
		_, listed := slices.BinarySearch(ids, s.ID)
		return !listed
	}), nil
}

func (l Leases) active(ctx context.Context, queue string) ([]string, error) {
	ids, err := l.Redis.LRange(ctx, Key(queue, "active"), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list the active tasks of queue %s: %w", queue, err)
	}
	return ids, nil
}

// PutBackStray puts one of Strays back, unless it has got a lease or has left since.
func (l Leases) PutBackStray(ctx context.Context, queue, id string) (bool, error) {
	keys := []string{Key(queue, "lease"), Key(queue, "active"), Key(queue, "pending"), Key(queue, "t:"+id)}
	n, err := strayScript.Run(ctx, l.Redis, keys, id, time.Now().UnixNano()).Int()
	if err != nil {
		return false, fmt.Errorf("put task %s back in queue %s: %w", id, queue, err)
	}
	return n == 1, nil
}
