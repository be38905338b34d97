package asynqx

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
)

// beforePipeline calls f once, before the first pipeline.
type beforePipeline struct{ f func() }

func (b *beforePipeline) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (b *beforePipeline) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b *beforePipeline) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if f := b.f; f != nil {
			b.f = nil
			f()
		}
		return next(ctx, cmds)
	}
}

// TestStrays: a task that ends while strays are looked for is none, and one whose message is gone is.
func TestStrays(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const queue = "strays"
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"held", "gone", "stray", "ends"} {
			must(rdb.LPush(ctx, Key(queue, "active"), id).Err())
			if id != "gone" {
				must(rdb.HSet(ctx, Key(queue, "t:"+id), "msg", "message of "+id).Err())
			}
			if id == "held" || id == "ends" {
				must(rdb.ZAdd(ctx, Key(queue, "lease"), redis.Z{Score: 1, Member: id}).Err())
			}
		}
		rdb.(interface{ AddHook(redis.Hook) }).AddHook(&beforePipeline{f: func() {
			must(rdb.LRem(ctx, Key(queue, "active"), 0, "ends").Err())
			must(rdb.ZRem(ctx, Key(queue, "lease"), "ends").Err())
			must(rdb.Del(ctx, Key(queue, "t:ends")).Err())
		}})
		strays, err := Leases{rdb}.Strays(ctx, queue)
		must(err)
		if len(strays) != 2 || strays[0] != (Leased{"stray", "message of stray"}) || strays[1] != (Leased{ID: "gone"}) {
			t.Errorf("got %v, want stray and gone", strays)
		}
	})
}
