package asynqx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
)

// FiledScore is the score among asynq's scheduled tasks of one that waits for a worker in its tenant's list: FILED of
// tenants.lua. Any other task that is scheduled has a smaller one.
const FiledScore = 253402214400

var filedScore = strconv.Itoa(FiledScore)

var refileScript = redisscript.Script(sources, "tenants.lua", "refile.lua")

// Waiting are the tasks of one tenant that wait for a worker.
type Waiting struct {
	Tenant string
	Tasks  int           // a few too many where some were deleted
	Oldest time.Duration // since the first one came; 0: not known
}

func Tenants(ctx context.Context, rdb redis.UniversalClient, queue string) ([]Waiting, error) {
	names, err := ring(ctx, rdb, queue)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	counts, firsts := make([]*redis.IntCmd, len(names)), make([]*redis.StringCmd, len(names))
	_, err = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			counts[i], firsts[i] = p.LLen(ctx, rediskey.QueueTenants(queue)+":"+name), p.LIndex(ctx, rediskey.QueueTenants(queue)+":"+name, 0)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("tenants of queue %s: %w", queue, err)
	}
	since := make([]*redis.StringCmd, len(names))
	_, err = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range names {
			since[i] = p.HGet(ctx, Key(queue, "t:"+firsts[i].Val()), "pending_since")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("tenants of queue %s: %w", queue, err)
	}
	all := make([]Waiting, len(names))
	for i, name := range names {
		all[i] = Waiting{Tenant: name, Tasks: int(counts[i].Val())}
		if n, err := strconv.ParseInt(since[i].Val(), 10, 64); err == nil && n > 0 {
			all[i].Oldest = time.Since(time.Unix(0, n))
		}
	}
	return all, nil
}

func ring(ctx context.Context, rdb redis.UniversalClient, queue string) ([]string, error) {
	names, err := rdb.LRange(ctx, rediskey.QueueTenants(queue), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("tenants of queue %s: %w", queue, err)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" }), nil
}

// filed is how many tasks of a queue wait in their tenants' lists.
func filed(ctx context.Context, rdb redis.UniversalClient, queue string) (int, error) {
	n, err := rdb.ZCount(ctx, Key(queue, "scheduled"), filedScore, filedScore).Result()
	if err != nil {
		return 0, fmt.Errorf("tasks of tenants in queue %s: %w", queue, err)
	}
	return int(n), nil
}

func FiledIDs(ctx context.Context, rdb redis.UniversalClient, queue string) ([]string, error) {
	ids, err := rdb.ZRangeByScore(ctx, Key(queue, "scheduled"), &redis.ZRangeBy{Min: filedScore, Max: filedScore}).Result()
	if err != nil {
		return nil, fmt.Errorf("tasks of tenants in queue %s: %w", queue, err)
	}
	return ids, nil
}

// refileChunk is how many tasks one call puts back.
const refileChunk = 500

// Refile puts tasks back into their tenants' lists if Redis has lost some of the lists, and returns how many. Where the
// lists are longer than what waits, as tasks were deleted, a lost one is found when they are shorter.
func Refile(ctx context.Context, rdb redis.UniversalClient, queue string) (n int, err error) {
	waiting, err := filed(ctx, rdb, queue)
	if err != nil || waiting == 0 {
		return 0, err
	}
	tenants, err := Tenants(ctx, rdb, queue)
	if err != nil {
		return 0, err
	}
	listed := 0
	for _, t := range tenants {
		listed += t.Tasks
	}
	if listed >= waiting {
		return 0, nil
	}
	known := make(map[string]bool, listed)
	for _, t := range tenants {
		ids, err := rdb.LRange(ctx, rediskey.QueueTenants(queue)+":"+t.Tenant, 0, -1).Result()
		if err != nil {
			return 0, fmt.Errorf("tasks of tenant %s in queue %s: %w", t.Tenant, queue, err)
		}
		for _, id := range ids {
			known[id] = true
		}
	}
	ids, err := FiledIDs(ctx, rdb, queue)
	if err != nil {
		return 0, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return known[id] })
	for chunk := range slices.Chunk(ids, refileChunk) {
		args := []any{Key(queue, "t:")}
		for _, id := range chunk {
			args = append(args, id)
		}
		back, err := refileScript.Run(ctx, rdb, []string{rediskey.QueueTenants(queue), Key(queue, "scheduled")}, args...).Int()
		if err != nil {
			return n, fmt.Errorf("put tasks of queue %s back into the lists of their tenants: %w", queue, err)
		}
		n += back
	}
	return n, nil
}
