// Package recovery brings back what dead processes and lost Redis writes leave behind. Every worker process runs a
// [Sweeper], and one of them sweeps at a time.
//
// It promises: a task whose worker is dead is pending again 14 s later at most, with its retries untouched (orphans.go). A
// conversation stands still for 35 s at most (lost.go; internal/lane does the work). A message that asynq can never finish
// does not hold up the others, and its record ends (poison.go). Parked tasks run when their pause ends, and open batches
// do not expire (internal/pause, internal/tally).
//
// Every guess may be wrong: a worker that seems dead may only be slow. So each step is safe if it was not needed, and safe
// if two processes do it.
//
// Keys: cozeq:sweeper, the process that sweeps; cozeq:queue:{Q}:unreadable, the notes of poison messages. It moves tasks
// between asynq's lists, as asynq's own recoverer does.
//
// Scripts: elect.lua says who sweeps; jams.lua and discard.lua deal with poison messages. Those about leases are in
// internal/asynqx.
package recovery

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/internal/redisscript"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
)

const (
	sweepEvery = time.Second
	sweeperTTL = 3 * time.Second
	laneEvery  = 15 * time.Second // with 20 s of silence (internal/lane) a conversation stands still for 35 s at most

	// calm is how long Redis must have answered before a lease is judged: while it was away no worker could extend one.
	calm = 7 * time.Second
)

//go:embed *.lua
var sources embed.FS

var electScript = redisscript.Script(sources, "elect.lua")

// Sweeper is one process's part in the sweep. All fields are needed.
type Sweeper struct {
	Name    string   // of the process
	Queues  []string // that it looks after
	Redis   redis.UniversalClient
	Coze    *coze.Client // cancels the chats of lost tasks
	Results *results.Store
	Records *record.Store
	Lanes   *lane.Lanes
	Tally   *tally.Tally
	Pauses  *pause.Sweeper
	Log     *slog.Logger
	Revived func() // counts a task that was put back
}

func (s *Sweeper) Run(ctx context.Context) {
	// Lanes are swept beside this loop: 10,000 of them take 40 s at a round trip of 1 ms, and the tasks of dead workers
	// must not wait for that.
	var beside sync.WaitGroup
	defer beside.Wait()
	var atLanes atomic.Bool
	var trouble time.Time // when Redis failed last
	strays, lanes := time.Now(), time.Now()
	for backoff.Sleep(ctx, sweepEvery) == nil {
		now := time.Now()
		elected, err := electScript.Run(ctx, s.Redis, []string{rediskey.Sweeper}, s.Name, sweeperTTL.Milliseconds()).Int()
		if err != nil {
			trouble = now
		}
		if elected == 0 || now.Sub(trouble) < calm {
			continue
		}
		s.warn(ctx, "pauses", s.Pauses.Sweep(ctx))
		if err = s.reviveOrphans(ctx); err != nil {
			trouble = time.Now() // of a cluster, only the node that has a queue may be away
		}
		if err == nil && now.Sub(strays) > strayEvery {
			strays = now
			if err = s.reviveStrays(ctx); err == nil {
				err = s.clearJams(ctx)
			}
		}
		s.warn(ctx, "lost tasks", err)
		if err == nil && now.Sub(lanes) > laneEvery && atLanes.CompareAndSwap(false, true) {
			lanes = now
			beside.Go(func() {
				defer atLanes.Store(false)
				s.warn(ctx, "conversations", s.sweepLanes(ctx))
				s.warn(ctx, "batches", s.Tally.Sweep(ctx))
			})
		}
	}
}

func (s *Sweeper) warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("the sweep of "+what+" failed, will try again", "err", err)
	}
}
