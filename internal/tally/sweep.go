package tally

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
)

// settleChunk is how many rows' results get their time to live in one pipeline. It keeps Redis busy for about 2 ms.
const settleChunk = 1000

// Sweep looks after the lives of batches. Open batches get a new time to live, the results of batches that have ended get
// the batch's, and ids of batches that are gone leave the list. Several workers may sweep at the same time.
//
// A result of a batch is first kept for 30 days, because how long the batch will take is not known when its task ends.
// Once the batch has ended each result gets the batch's own time. That takes some seconds for a million rows, so the
// progress is noted in the batch. Of a run's batch only the results that the run has not collected are left.
func (t *Tally) Sweep(ctx context.Context) error {
	ids, err := t.rdb.ZRange(ctx, rediskey.Batches, 0, -1).Result()
	if err != nil {
		return fmt.Errorf("list batches: %w", err)
	}
	for _, id := range ids {
		if err := t.settle(ctx, id); err != nil {
			return fmt.Errorf("look after batch %s: %w", id, err)
		}
	}
	return nil
}

func (t *Tally) settle(ctx context.Context, id string) error {
	hash, err := t.rdb.HMGet(ctx, rediskey.Batch(id), "rows", "ended_at", "keep", "settled", "bodies").Result()
	if err != nil {
		return err
	}
	field := func(i int) string {
		text, _ := hash[i].(string)
		return text
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(field(i))
		return n
	}
	rows, ended, keep, settled, bodies := number(0), field(1), number(2), number(3), field(4)
	switch {
	case rows == 0:
		// A batch of this id may have been created since. Its creator lists it after this.
		return t.rdb.ZRem(ctx, rediskey.Batches, id).Err()
	case ended == "":
		return extendScript.Run(ctx, t.rdb, Keys(id), Seconds(OpenTTL)).Err()
	case settled >= rows:
		return nil
	}
	asks, err := t.rdb.Get(ctx, rediskey.BatchAsks(id)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	ttl := time.Duration(keep) * time.Second
	for settled < rows {
		last := min(settled+settleChunk, rows)
		_, err := t.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for row := settled + 1; row <= last; row++ {
				for attempt := 1; attempt == 1 || row <= len(asks) && attempt <= int(asks[row-1])+1; attempt++ {
					task := TaskID(id, row, attempt)
					p.Expire(ctx, results.Key(task), ttl)
					if bodies != "" {
						p.Expire(ctx, results.BodyKey(task), ttl)
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		settled = last
		stillEnded, err := t.settled(ctx, id, settled)
		if err != nil || !stillEnded {
			return err
		}
	}
	return nil
}

// Collected notes that a run has taken all of its results out of Redis. The sweep need not look for any.
func (t *Tally) Collected(ctx context.Context, id string, rows int) error {
	_, err := t.settled(ctx, id, rows)
	return err
}

func (t *Tally) settled(ctx context.Context, id string, rows int) (stillEnded bool, err error) {
	n, err := settledScript.Run(ctx, t.rdb, []string{rediskey.Batch(id)}, rows).Int()
	return n == 1, err
}
