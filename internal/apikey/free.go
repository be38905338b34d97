package apikey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks/batches"
)

const batchPrefix = "batch:"

func isBatch(member string) bool { return strings.HasPrefix(member, batchPrefix) }

const (
	// freeChunk is how many records one pipeline of free reads.
	freeChunk = 200

	// fullFor is how long a tenant that has more than freeChunk places, and none free, is refused without another look: a
	// client that comes back at once would have Redis read all its records each time.
	fullFor = 250 * time.Millisecond

	// recordGrace is the time from the admission of a task to its record.
	recordGrace = time.Minute
)

// free frees the places of a tenant's tasks that have ended, from the oldest on, until there are some. It returns how many.
func (l *Limits) free(ctx context.Context, tenant string) (freed int, err error) {
	l.mu.Lock()
	at, known := l.full[tenant]
	l.mu.Unlock()
	if known && time.Since(at) < fullFor {
		return 0, nil
	}
	for first := int64(0); ; first += freeChunk {
		open, err := l.rdb.ZRangeWithScores(ctx, rediskey.APIKey(tenant, "open"), first, first+freeChunk-1).Result()
		if err != nil {
			return 0, fmt.Errorf("look for free places of %s: %w", tenant, err)
		}
		if freed, err = l.freeOf(ctx, tenant, open); err != nil || freed > 0 {
			return freed, err
		}
		if len(open) < freeChunk {
			l.mu.Lock()
			delete(l.full, tenant)
			if first > 0 {
				l.full[tenant] = time.Now()
			}
			l.mu.Unlock()
			return 0, nil
		}
	}
}

// freeOf frees the places of those that have ended.
func (l *Limits) freeOf(ctx context.Context, tenant string, open []redis.Z) (freed int, err error) {
	statuses := make([]*redis.StringCmd, len(open))
	_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, z := range open {
			if id, ok := strings.CutPrefix(z.Member.(string), "task:"); ok {
				statuses[i] = p.HGet(ctx, results.Key(id), "status")
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("look for free places of %s: %w", tenant, err)
	}
	var args []any
	for i, z := range open {
		left := 0
		if statuses[i] == nil {
			left, err = l.rows(ctx, z)
		} else {
			left, err = task(statuses[i], z)
		}
		if err != nil {
			return 0, fmt.Errorf("look for free places of %s: %w", tenant, err)
		}
		if left == 0 || statuses[i] == nil {
			args = append(args, z.Member, fmt.Sprintf("%.3f", z.Score), left)
		}
	}
	if len(args) == 0 {
		return 0, nil
	}
	freed, err = freeScript.Run(ctx, l.rdb, []string{rediskey.APIKey(tenant, "open"), rediskey.APIKey(tenant, "rows")}, args...).Int()
	if err != nil {
		return 0, fmt.Errorf("free places of %s: %w", tenant, err)
	}
	return freed, nil
}

// task is 1 if the task has not ended.
func task(status *redis.StringCmd, z redis.Z) (int, error) {
	switch err := status.Err(); {
	case errors.Is(err, redis.Nil):
		return missing(z, 1), nil
	case err != nil:
		return 0, err
	case results.Status(status.Val()).Terminal():
		return 0, nil
	}
	return 1, nil
}

// rows is how many rows of a batch have not ended.
func (l *Limits) rows(ctx context.Context, z redis.Z) (int, error) {
	b, err := l.batches.Get(ctx, strings.TrimPrefix(z.Member.(string), batchPrefix))
	if errors.Is(err, batches.ErrNotFound) {
		return missing(z, maxRows), nil
	}
	if err != nil {
		return 0, err
	}
	return b.Counts.Open(), nil
}

// maxRows is more than any batch has: its rows are left as they were counted.
const maxRows = 1 << 30

// missing is what is open of something without a record: nothing, unless it may still come.
func missing(z redis.Z, open int) int {
	if time.Since(time.UnixMicro(int64(z.Score*1000))) < recordGrace {
		return open
	}
	return 0
}
