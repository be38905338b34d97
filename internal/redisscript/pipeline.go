// Package redisscript runs many calls of Redis scripts in one round trip. It is for results and tasks, which name the
// scripts and read the replies; it knows neither.
package redisscript

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Call is one call of a script.
type Call struct {
	Script *redis.Script
	Keys   []string
	Args   []any
}

// reloads is how often Run teaches Redis scripts. Once does, unless Redis is restarted in between and has forgotten them
// again: go-redis repeats a pipeline whose reply was lost.
const reloads = 3

// Run sends the calls in their order as one pipeline and returns their replies, each with its own error. Only a Redis
// that is a cluster may run calls of different slots in another order.
//
// A pipeline names scripts by their hashes and cannot fall back to their sources by itself. Calls that Redis did not
// know are sent again once it does, in their order among themselves, but behind those that it knew: where calls depend
// on each other's order, they must be one call.
func Run(ctx context.Context, rdb redis.UniversalClient, calls []Call) []*redis.Cmd {
	replies := make([]*redis.Cmd, len(calls))
	if len(calls) == 1 { // on a client that gathers commands it shares a round trip with other goroutines'
		replies[0] = calls[0].Script.Run(ctx, rdb, calls[0].Keys, calls[0].Args...)
		return replies
	}
	all := make([]int, len(calls))
	for i := range all {
		all[i] = i
	}
	send(ctx, rdb, calls, replies, all)
	for range reloads {
		again := load(ctx, rdb, calls, replies)
		if len(again) == 0 {
			break
		}
		send(ctx, rdb, calls, replies, again)
	}
	return replies
}

// load gives Redis the scripts that it did not know, and returns the calls of them.
func load(ctx context.Context, rdb redis.UniversalClient, calls []Call, replies []*redis.Cmd) (again []int) {
	loaded := make(map[*redis.Script]bool)
	for i, reply := range replies {
		if !unknown(reply.Err()) {
			continue
		}
		script := calls[i].Script
		if !loaded[script] {
			if err := script.Load(ctx, rdb).Err(); err != nil {
				reply.SetErr(fmt.Errorf("load a script: %w", err))
				continue
			}
			loaded[script] = true
		}
		again = append(again, i)
	}
	return again
}

func send(ctx context.Context, rdb redis.UniversalClient, calls []Call, replies []*redis.Cmd, which []int) {
	_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command keeps its own error
		for _, i := range which {
			replies[i] = calls[i].Script.EvalSha(ctx, p, calls[i].Keys, calls[i].Args...)
		}
		return nil
	})
}

func unknown(err error) bool {
	return errors.Is(err, redis.ErrNoScript) || redis.HasErrorPrefix(err, "NOSCRIPT")
}
