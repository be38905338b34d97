package worker

import (
	"context"
	_ "embed"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// One process of all looks after what got lost: the one that holds sweeperKey.
// With tasks.sweepAge and laneEvery a conversation stands still for at most 35 s.
const (
	sweepEvery = time.Second
	sweeperTTL = 3 * time.Second
	sweeperKey = "cozeq:sweeper"
	laneEvery  = 15 * time.Second

	// announceEvery is how often a process says which credentials it serves. The first time is before anything can pause.
	announceEvery = 5 * time.Second

	// calm is how long Redis must have answered before a lease is judged: while it was away no worker could extend one.
	calm = 7 * time.Second
)

//go:embed elect.lua
var electSource string

var electScript = redis.NewScript(electSource)

// sweep looks after lost tasks, pauses, conversations and batches, until ctx ends.
func (w *Worker) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	// Lanes are looked at beside this loop: 10,000 of them take 40 s at a round trip of 1 ms, and the tasks of dead workers
	// must not wait for that.
	var beside sync.WaitGroup
	defer beside.Wait()
	var sweeping atomic.Bool
	now := time.Now()
	trouble, strays, lanes, announced := time.Time{}, now, now, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		}
		if now.Sub(announced) > announceEvery {
			announced = now
			if err := w.announce(ctx); err != nil && ctx.Err() == nil {
				w.log.Warn("could not announce this worker", "err", err)
			}
		}
		elected, err := electScript.Run(ctx, w.cfg.Redis, []string{sweeperKey}, w.name, sweeperTTL.Milliseconds()).Int()
		if err != nil {
			trouble = now
		}
		if elected == 0 || now.Sub(trouble) < calm {
			continue // another process does it, or it is too early to judge
		}
		if err := w.sweeper.Sweep(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("could not look after pauses, will try again", "err", err)
		}
		if err = w.reviveOrphans(ctx); err != nil {
			trouble = time.Now() // of a cluster, only the node that has a queue may be away
		}
		if err == nil && now.Sub(strays) > strayEvery {
			strays = now
			if err = w.reviveStrays(ctx); err == nil {
				err = w.clearJams(ctx)
			}
		}
		if err == nil && now.Sub(lanes) > laneEvery && sweeping.CompareAndSwap(false, true) {
			lanes = now
			beside.Go(func() {
				defer sweeping.Store(false)
				if err := w.sweepLanes(ctx); err != nil && ctx.Err() == nil {
					w.log.Warn("could not look after conversations, will try again", "err", err)
				}
				if err := w.tally.Sweep(ctx); err != nil && ctx.Err() == nil {
					w.log.Warn("could not look after batches, will try again", "err", err)
				}
			})
		}
		if err != nil && ctx.Err() == nil {
			w.log.Warn("could not look after lost tasks, will try again", "err", err)
		}
	}
}

// sweepLanes resumes stuck conversations, and ends the records of tasks that are in a lane but not in the queue: no worker
// would ever get them.
func (w *Worker) sweepLanes(ctx context.Context) error {
	n, err := w.lanes.Rebuild(ctx, w.gate.Queues)
	if n > 0 {
		w.log.Warn("Redis had lost the order of conversations, put back from the payloads", "turns", n)
	}
	if err != nil {
		return err
	}
	dropped, err := w.lanes.Sweep(ctx)
	for _, place := range dropped {
		w.log.Warn("a turn was gone from the queue, its conversation continues without it",
			"task", place.ID, "lane", place.Lane)
		r, err := w.records.Cancel(ctx, place.ID)
		switch {
		case err == nil && r.Status == results.Waiting:
			err = w.endLost(ctx, results.Result{ID: place.ID}, results.Canceled,
				&results.Failure{Class: string(coze.ClassCanceled), Message: "gone from the queue before it had its answer"})
		case err == nil && r.Status.Terminal():
			err = w.tally.MarkResult(ctx, r)
		}
		if err != nil && !errors.Is(err, results.ErrNotFound) {
			return err
		}
	}
	return err
}
