package asynqx

import (
	"context"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redisscript"
)

// NewInspector returns an inspector of asynq's that knows tenants: its RunTask puts a task of a tenant into that tenant's
// list, where it waits for its turn. Of a task that does so already it says that it is run.
func NewInspector(rdb redis.UniversalClient) *asynq.Inspector {
	return asynq.NewInspectorFromRedisClient(&runClient{UniversalClient: rdb, run: extended{text: behind("run.lua")}})
}

// runClient recognises asynq's script that runs a task by its keys: a task, pending, groups.
type runClient struct {
	redis.UniversalClient
	run extended
}

func (c *runClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if !isRun(keys) {
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	return c.run.run(ctx, c.UniversalClient, "", ringKeys(keys, queueOf(keys[1])), args)
}

func (c *runClient) Eval(ctx context.Context, text string, keys []string, args ...any) *redis.Cmd {
	if !isRun(keys) {
		return c.UniversalClient.Eval(ctx, text, keys, args...)
	}
	return c.run.run(ctx, c.UniversalClient, text, ringKeys(keys, queueOf(keys[1])), args)
}

func isRun(keys []string) bool {
	return len(keys) == 3 && strings.Contains(keys[0], "}:t:") && strings.HasSuffix(keys[1], "}:pending") && strings.HasSuffix(keys[2], "}:groups")
}

var deleteArchivedScript = redisscript.Script(sources, "deletearchived.lua")

// DeleteArchived deletes a task from asynq's archive. done is false if it is not in there.
func DeleteArchived(ctx context.Context, rdb redis.UniversalClient, queue, id string) (done bool, err error) {
	return deleteArchivedScript.Run(ctx, rdb, []string{Key(queue, "archived"), Key(queue, "t:"+id)}, id).Bool()
}
