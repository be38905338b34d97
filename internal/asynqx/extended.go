package asynqx

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// extended is one of asynq's scripts with one of ours around it, in one call. asynq's is learnt when asynq sends its
// source, so it is not copied here.
type extended struct {
	text   func(asynq string) string
	script atomic.Pointer[redis.Script]
}

// behind makes asynq's script run behind this file.
func behind(name string) func(asynq string) string {
	return func(asynq string) string { return source("tenants.lua") + source(name) + asynq }
}

// before makes asynq's script a function, enqueue, that this file calls.
func before(name string) func(asynq string) string {
	return func(asynq string) string {
		return source("tenants.lua") + "local function enqueue()\n" + asynq + "\nend\n" + source(name)
	}
}

// learn returns the script around asynq's source. asynq may also send a hash alone, "" here: then it is nil if asynq has not
// sent the source before.
func (e *extended) learn(asynq string) *redis.Script {
	if asynq != "" {
		e.script.Store(redis.NewScript(e.text(asynq)))
	}
	return e.script.Load()
}

// run runs the script in the place of asynq's.
func (e *extended) run(ctx context.Context, rdb redis.UniversalClient, asynq string, keys []string, args []any) *redis.Cmd {
	if script := e.learn(asynq); script != nil {
		return script.Run(ctx, rdb, keys, args...)
	}
	return unseen(ctx)
}

// noScript has asynq send its script's source, as a Redis does that does not know it.
type noScript struct{}

func (noScript) Error() string { return "NOSCRIPT not seen yet" }
func (noScript) RedisError()   {}

func unseen(ctx context.Context) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(noScript{})
	return cmd
}

// queueOf is the queue of asynq's key of a pending list.
func queueOf(pending string) string {
	return strings.TrimSuffix(strings.TrimPrefix(pending, "asynq:{"), "}:pending")
}

func taskOf(key string) (queue, id string) {
	queue, id, _ = strings.Cut(strings.TrimPrefix(key, "asynq:{"), "}:t:")
	return queue, id
}

// ringKeys adds the keys that our scripts need to those of asynq's. With :NAME the first is the list of one tenant's tasks.
func ringKeys(keys []string, queue string) []string {
	return append(slices.Clip(keys), rediskey.QueueTenants(queue), Key(queue, "scheduled"))
}
