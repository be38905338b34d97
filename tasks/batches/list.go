package batches

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// listKey is the sorted set of a tenant's batch ids, like rediskey.Batches, which has all. The sweep keeps that one tidy, Page
// the others.
func listKey(tenant string) string {
	if tenant == "" {
		return rediskey.Batches
	}
	return rediskey.TenantBatches(tenant)
}

// list puts a batch into the lists. The sets are in different slots. A batch that is in one alone is put into the other when
// Create is called again.
func (c *Client) list(ctx context.Context, b *Status) error {
	_, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, tenant := range []string{"", b.Tenant} {
			p.ZAddNX(ctx, listKey(tenant), redis.Z{Score: float64(b.CreatedAt.UnixMilli()), Member: b.ID})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list batch %s: %w", b.ID, err)
	}
	return nil
}

// List returns all batches, of all tenants, the newest first.
func (c *Client) List(ctx context.Context) ([]*Status, error) {
	ids, err := c.rdb.ZRevRange(ctx, rediskey.Batches, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	all, _, err := c.getMany(ctx, ids)
	return all, err
}

// getMany reads batches. Those that have expired are left out and their ids returned.
func (c *Client) getMany(ctx context.Context, ids []string) (all []*Status, gone []any, err error) {
	replies := make([]*redis.MapStringStringCmd, len(ids))
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			replies[i] = p.HGetAll(ctx, rediskey.Batch(id))
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list batches: %w", err)
	}
	all = make([]*Status, 0, len(ids))
	for i, reply := range replies {
		if len(reply.Val()) == 0 {
			gone = append(gone, ids[i]) // from cozeq:batches the sweep takes it
			continue
		}
		b, err := parse(reply.Val(), c.results.Keys)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, b)
	}
	return all, gone, nil
}

// PageOptions say which batches Page returns.
type PageOptions struct {
	Tenant string             // empty: all batches, whosever they are
	After  string             // the id of the last batch of the page before; empty: from the newest on
	Limit  int                // 0: 100
	Want   func(*Status) bool // nil: all
}

// pageChunk is how many batches Page reads at a time.
const pageChunk = 100

// Page returns batches, the newest first, and whether there are more behind them. An After that is not there any more is
// ErrNotFound.
func (c *Client) Page(ctx context.Context, o PageOptions) (page []*Status, more bool, err error) {
	o.Limit = cmp.Or(o.Limit, pageChunk)
	key, first := listKey(o.Tenant), int64(0)
	if o.After != "" {
		rank, err := c.rdb.ZRevRank(ctx, key, o.After).Result()
		switch {
		case errors.Is(err, redis.Nil):
			return nil, false, fmt.Errorf("%s: %w", o.After, ErrNotFound)
		case err != nil:
			return nil, false, fmt.Errorf("list batches: %w", err)
		}
		first = rank + 1
	}
	for {
		ids, err := c.rdb.ZRevRange(ctx, key, first, first+pageChunk-1).Result()
		if err != nil {
			return nil, false, fmt.Errorf("list batches: %w", err)
		}
		if len(ids) == 0 {
			return page, false, nil
		}
		all, gone, err := c.getMany(ctx, ids)
		if err != nil {
			return nil, false, err
		}
		if len(gone) > 0 && o.Tenant != "" {
			// One that is created again at this moment is listed after that: see Create.
			if err := c.rdb.ZRem(ctx, key, gone...).Err(); err != nil {
				return nil, false, fmt.Errorf("list batches: %w", err)
			}
			first -= int64(len(gone))
		}
		for _, b := range all {
			switch {
			case o.Want != nil && !o.Want(b):
			case len(page) == o.Limit:
				return page, true, nil
			default:
				page = append(page, b)
			}
		}
		first += int64(len(ids))
	}
}
