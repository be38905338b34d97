// Package asynqx is all that cozeq knows of asynq's insides: its keys in Redis, its messages, and the scripts of its
// clients. It is the only package that spells `asynq:`, and it is written for asynq v0.26 (TestVersion fails with any
// other). Use asynq's own API wherever it has one.
//
// What is here, why, and when it can go:
//
//   - [Poller] stands between asynq's servers and Redis. asynq polls each queue from each server; the Poller waits for work
//     in one place (a millisecond, or 25 ms, instead of up to 1 s), holds tasks back while this process cannot use
//     them, and lets a pause of a queue concern one credential. It can go when asynq waits for work itself and asks
//     before it takes a task.
//   - The tenants' lists (tenants.lua) have the tenants of a queue take turns. asynq's scripts for what becomes pending, or is
//     taken, run behind or before ours: of [Poller], [Bulk] and the inspector of [NewInspector]. docs/fairness.md says why.
//   - [QueuePauses] pause queues in asynq's way and note for which credentials. It stays as long as cozeq pauses queues
//     by itself.
//   - [Bulk] enqueues many tasks in one round trip, and wakes idle Pollers. It can go when asynq's client can (hibiken/asynq has no batch API).
//   - [Message] and [Belongs] read which task a message names, so that one that asynq cannot decode never stops a server.
//     They can go when asynq passes over such messages itself.
//   - [QueueInfo] counts a queue in which a task is gone. It can go when asynq's Inspector does.
//   - [Leases] find the tasks of dead servers: 14 s after their death, and without a retry used up, where asynq needs 55 to
//     120 s. They can go when asynq can be told how soon.
//   - [Key] serves sweeps that compare what is queued with what should be, and [Log] takes asynq's lines.
//
// Keys: asynq's `asynq:{QUEUE}:...`, `asynq:queues`, `asynq:servers`, and beside them `cozeq:queue:{QUEUE}:paused`, the
// note of a pause, and `cozeq:queue:{QUEUE}:tenants`, whose turn it is, with a list for each tenant. All keys of a queue
// share its slot of a Redis Cluster.
package asynqx

import (
	"context"
	"embed"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redisscript"
)

// Key is one of asynq's keys of a queue: pending, active, lease, scheduled, retry, archived, completed, paused, groups,
// t:ID (a task), g:GROUP.
func Key(queue, name string) string { return "asynq:{" + queue + "}:" + name }

// Keys of all queues.
const (
	queuesKey  = "asynq:queues"  // set: asynqmon shows no queue that is not in it
	ServersKey = "asynq:servers" // sorted set: keys of live servers, by when they lapse in Unix seconds
)

// ServerKey is the member of ServersKey for one server.
func ServerKey(host string, pid int, id string) string {
	return fmt.Sprintf("%s:{%s:%d:%s}", ServersKey, host, pid, id)
}

// Register makes a queue known to asynq's Inspector and asynqmon.
func Register(ctx context.Context, rdb redis.Cmdable, queue string) error {
	if err := rdb.SAdd(ctx, queuesKey, queue).Err(); err != nil {
		return fmt.Errorf("register queue %s: %w", queue, err)
	}
	return nil
}

//go:embed *.lua
var sources embed.FS

func source(name string) string { return redisscript.Source(sources, name) }
