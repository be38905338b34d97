package filestore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// mostFiles bounds the files of a tenant, however small they are: Reserve and List look at all of them.
const mostFiles = 10_000

// FullError says that a tenant's files take all the room that they may.
type FullError struct {
	Files int   // that are there
	Bytes int64 // that they take
	Limit int64 // bytes
}

func (e *FullError) Error() string {
	return fmt.Sprintf("the %d files of this key take %d MB, at most %d files of %d MB together are kept: delete some, or have them expire sooner with expires_after",
		e.Files, e.Bytes/1e6, mostFiles, e.Limit/1e6)
}

// Reserve returns a *FullError if the tenant's files and one more of size bytes take more than limit. Uploads at the same time
// do not see each other, so together they may go over it.
func (s *Store) Reserve(ctx context.Context, tenant string, size, limit int64) error {
	full := &FullError{Limit: limit}
	for p := (Page{Ascending: true}); ; {
		ids, err := s.rdb.ZRangeArgs(ctx, p.args(rediskey.Files(tenant))).Result()
		if err != nil {
			return fmt.Errorf("count files: %w", err)
		}
		if len(ids) == 0 {
			break
		}
		p.After = ids[len(ids)-1]
		sizes := make([]*redis.StringCmd, len(ids))
		_, err = s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, id := range ids {
				sizes[i] = pipe.HGet(ctx, rediskey.File(id), "bytes")
			}
			return nil
		})
		if err != nil && err != redis.Nil {
			return fmt.Errorf("count files: %w", err)
		}
		for _, size := range sizes {
			if n, err := strconv.ParseInt(size.Val(), 10, 64); err == nil { // none: it has expired
				full.Files++
				full.Bytes += n
			}
		}
	}
	if full.Files >= mostFiles || full.Bytes+size > limit {
		return full
	}
	return nil
}
