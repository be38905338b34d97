package asynqx

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

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

func (e *extended) learn(asynq string) *redis.Script {
	script := redis.NewScript(e.text(asynq))
	e.script.Store(script)
	return script
}

// evalSha runs the script in the place of asynq's.
func (e *extended) evalSha(ctx context.Context, rdb redis.UniversalClient, keys []string, args []any) *redis.Cmd {
	if script := e.script.Load(); script != nil {
		return script.Run(ctx, rdb, keys, args...)
	}
	return unseen(ctx)
}

// eval is evalSha for asynq's script as its source.
func (e *extended) eval(ctx context.Context, rdb redis.UniversalClient, asynq string, keys []string, args []any) *redis.Cmd {
	return e.learn(asynq).Run(ctx, rdb, keys, args...)
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

func queueOf(key, name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, "asynq:{"), "}:"+name)
}

func taskOf(key string) (queue, id string) {
	queue, id, _ = strings.Cut(strings.TrimPrefix(key, "asynq:{"), "}:t:")
	return queue, id
}

// ringKey is the list of the tenants of a queue that have tasks which wait. With :NAME it is the list of one's tasks.
func ringKey(queue string) string { return "cozeq:queue:{" + queue + "}:tenants" }

// ringKeys adds the keys that our scripts need to those of asynq's.
func ringKeys(keys []string, queue string) []string {
	return append(slices.Clip(keys), ringKey(queue), Key(queue, "scheduled"))
}
