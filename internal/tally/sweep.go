package tally

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// settleChunk is how many rows' results get their time of expiry in one pipeline: Redis
// is busy for some 2 ms with it.
const settleChunk = 1000

// ListKey holds the ids of all batches, by their creation in Unix milliseconds.
const ListKey = "cozeq:batches"

// Sweep looks after the lives of batches: those that are open live on, of those that
// have ended the results are kept as long as they are, and of those that are gone the
// names are forgotten. Many may do it at the same time.
//
// Of a run's batch most results are gone, as the run has taken them: those that it has not
// collected are kept in the same way.
//
// A result of a batch is kept for 30 days from its own end, as nobody knows then how long
// the batch will take. Once it has ended each of them gets the batch's own time. That
// takes some seconds for a million rows; who dies over it has noted how far he came.
func (t *Tally) Sweep(ctx context.Context) error {
	ids, err := t.rdb.ZRange(ctx, ListKey, 0, -1).Result()
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

// settledScript notes how far the results of a batch that has ended are settled. It
// answers 0 where the batch has been opened again.
//
// KEYS: batch. ARGV: rows.
var settledScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[1], 'ended_at') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'settled', ARGV[1])
return 1`)

// liveOnScript sets the time of a batch that is open still.
//
// KEYS: batch, states, asks, rows. ARGV: TTL in seconds.
var liveOnScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[1], 'ended_at') == 1 then return 0 end
for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ARGV[1]) end
return 1`)

func (t *Tally) settle(ctx context.Context, id string) error {
	hash, err := t.rdb.HMGet(ctx, Key(id), "rows", "ended_at", "keep", "settled", "bodies").Result()
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
		// It may have been created since: then who did that lists it after us.
		return t.rdb.ZRem(ctx, ListKey, id).Err()
	case ended == "":
		return liveOnScript.Run(ctx, t.rdb, Keys(id), Seconds(OpenTTL)).Err()
	case settled >= rows:
		return nil
	}
	asks, err := t.rdb.Get(ctx, AsksKey(id)).Result()
	if err != nil && err != redis.Nil {
		return err
	}
	ttl := time.Duration(keep) * time.Second
	for settled < rows {
		last := min(settled+settleChunk, rows)
		_, err := t.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for row := settled + 1; row <= last; row++ {
				for ask := 1; ask == 1 || row <= len(asks) && ask <= int(asks[row-1])+1; ask++ {
					task := TaskID(id, row, ask)
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
		going, err := settledScript.Run(ctx, t.rdb, []string{Key(id)}, settled).Int()
		if err != nil || going == 0 {
			return err
		}
	}
	return nil
}

// Collected notes that no result of a run's batch is left in Redis: the sweep need not
// look for any.
func (t *Tally) Collected(ctx context.Context, id string, rows int) error {
	return settledScript.Run(ctx, t.rdb, []string{Key(id)}, rows).Err()
}
