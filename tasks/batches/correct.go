package batches

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
)

// Correct asks rows again that failed because they were refused (tasks.Chat.Refused), with the questions that they have now, and
// returns how many. It leaves other rows alone. All rows are of one chunk. It may be repeated after any error.
//
// A row is opened (1), kept with its question (2) and enqueued (3). Repair takes over from a process that dies in between:
// after 1 the row is refused again, with its next attempt, and can be corrected again; after 2 it is asked as it is now.
func (c *Client) Correct(ctx context.Context, id string, rows []Row) (n int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	b, err := c.detached(ctx, id)
	if err != nil {
		return 0, err
	}
	states, err := c.States(ctx, id)
	if err != nil {
		return 0, err
	}
	k := chunkOf(rows[0].N)
	chunk, err := c.chunk(ctx, id, states, k)
	if err != nil {
		return 0, err
	}
	var corrected []Row
	var open []tally.Reopening
	for _, row := range rows {
		kept := &chunk[(row.N-1)%ChunkRows]
		if kept.Chat.Refused == nil || states.Status(row.N) != results.Failed || kept.Attempt == tally.MaxAttempts {
			continue
		}
		failed := tally.Mark{Status: results.Failed, Class: kept.Chat.Refused.Class, Code: kept.Chat.Refused.Code}
		open = append(open, tally.Reopening{Row: row.N, Attempt: kept.Attempt, Next: kept.Attempt + 1, Failure: failed.Failure()})
		kept.Chat = row.Chat
		kept.Attempt++
		corrected = append(corrected, *kept)
	}
	if len(corrected) == 0 {
		return 0, nil
	}
	if n, err = c.tally.Reopen(ctx, id, open...); err != nil {
		return 0, err
	}
	if err := c.keep(ctx, id, chunk); err != nil {
		return n, err
	}
	return n, c.enqueueAgain(ctx, b, corrected, nil)
}

func (c *Client) keep(ctx context.Context, id string, rows []Row) error {
	chunk, bodies, err := packRows(rows)
	if err != nil {
		return err
	}
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		k := chunkOf(rows[0].N)
		p.HSet(ctx, rediskey.BatchRows(id), k, c.results.Keys.Seal(id, fieldRows(k), string(chunk)))
		if bodies > 0 {
			p.HSetNX(ctx, rediskey.Batch(id), "bodies", 1)
		}
		if slices.ContainsFunc(rows, blocks) {
			p.HSetNX(ctx, rediskey.Batch(id), "blocks", 1)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep rows %d to %d of batch %s: %w", rows[0].N, rows[len(rows)-1].N, id, err)
	}
	return nil
}
