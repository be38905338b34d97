package filestore

import (
	"context"
	"fmt"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// Page says which files List returns.
type Page struct {
	After     string // the id of the last file of the page before; empty: from the beginning
	Limit     int
	Purpose   string // empty: any
	Ascending bool   // the oldest first; otherwise the newest first
}

// listChunk is how many files are read at a time.
const listChunk = 500

// List returns files of a tenant, and whether there are more behind them. Files that come or go meanwhile neither repeat nor
// hide others.
func (s *Store) List(ctx context.Context, tenant string, p Page) (found []*File, more bool, err error) {
	index, stale := rediskey.Files(tenant), idAt(ago(staleAge))
	for {
		ids, err := s.rdb.ZRangeArgs(ctx, p.args(index)).Result()
		if err != nil {
			return nil, false, fmt.Errorf("list files: %w", err)
		}
		if len(ids) == 0 {
			return found, false, nil
		}
		hashes := make([]*redis.MapStringStringCmd, len(ids))
		_, err = s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, id := range ids {
				hashes[i] = pipe.HGetAll(ctx, rediskey.File(id))
			}
			return nil
		})
		if err != nil {
			return nil, false, fmt.Errorf("list files: %w", err)
		}
		var gone []any
		for i, id := range ids {
			p.After = id
			hash := hashes[i].Val()
			switch {
			case len(hash) == 0 && id < stale:
				gone = append(gone, id)
			case len(hash) == 0: // expired, or its upload is not at its end
			case p.Purpose != "" && hash["purpose"] != p.Purpose:
			case len(found) == p.Limit:
				return found, true, nil
			default:
				found = append(found, s.parse(id, hash))
			}
		}
		if len(gone) > 0 {
			if err := s.rdb.ZRem(ctx, index, gone...).Err(); err != nil {
				return nil, false, fmt.Errorf("list files: %w", err)
			}
		}
	}
}

// args are those of ZRANGE for the ids behind After.
func (p Page) args(index string) redis.ZRangeArgs {
	after := "-"
	if !p.Ascending {
		after = "+"
	}
	if p.After != "" {
		after = "(" + p.After
	}
	a := redis.ZRangeArgs{Key: index, ByLex: true, Rev: !p.Ascending, Start: after, Stop: "+", Count: listChunk}
	if !p.Ascending {
		a.Stop = "-"
	}
	return a
}

func ago(d time.Duration) time.Time { return time.Now().Add(-d) }
