package worker

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
)

// The beat finds out when a worker must not trust what it holds.
//
// The worker may have stood still, so that others have its tasks: two beats are further apart than they should be. Or Redis
// may have forgotten the last writes: it was flushed, it lost power with an append-only file that is synced once a second, or
// a replica that lagged took over. So each beat increments a counter in Redis. A counter that is not higher than the last
// one was taken back. A beat that fails is as suspicious, as Redis is always away for a moment when that happens.
//
// Then each running attempt checks whether it still owns its task, and each chat that the worker has or had lately is brought
// into its record again: the record may say that nothing was asked. See record.Store.GiveOver. A task that was answered in the
// lost second is in the queue again, or is put there (endedtasks.go); its chat is looked up, not asked for.
//
// Other workers, and this worker's free slots, may be faster: in Redis the task looks as if it was not asked. So while beats
// fail, and for takeAfter longer, no worker takes a task. If that is not enough, the question is asked twice, and its record
// says so.
//
// In a Redis Cluster the counter is on one node. Another node that is away is noticed by the calls that fail.
const (
	beatEvery = 500 * time.Millisecond
	stoodFor  = 5 * time.Second // much less than the 13 s after which others take its tasks
	takeAfter = 3 * time.Second // two beats that fail and are repeated

	// lossWindow is how much Redis may forget: it syncs the append-only file once a second, and waits one second more for a slow
	// disk.
	lossWindow = 5 * time.Second
	beatTTL    = time.Hour
)

// beat runs until ctx ends.
func (w *Worker) beat(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	last, count := time.Now(), int64(0)
	stood, forgot := false, false
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			w.cfg.Redis.Del(ctx, rediskey.Beat(w.name)) // if this fails, it lapses
			return
		case <-tick.C:
		}
		if gap := elapsed(last); gap > stoodFor {
			stood = true
			w.log.Warn("this worker was suspended: checking that its tasks are still its own", "for", gap.Round(time.Second))
		}
		last = time.Now()
		n, err := w.countBeat(ctx)
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			w.poller.Suspend(takeAfter)
			forgot = true
			continue
		}
		if n <= count {
			forgot = true
			w.log.Warn("Redis lost its last writes: noting the chats again")
		}
		count = n
		if stood || forgot {
			failed := w.distrust(ctx, forgot)
			if forgot {
				w.ended.doubt()
			}
			stood, forgot = stood && failed, forgot && failed
		}
		w.ended.drop(last.Add(-lossWindow))
	}
}

func (w *Worker) countBeat(ctx context.Context) (int64, error) {
	var n *redis.IntCmd
	_, err := w.cfg.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		n = p.Incr(ctx, rediskey.Beat(w.name))
		p.Expire(ctx, rediskey.Beat(w.name), beatTTL)
		return nil
	})
	return n.Val(), err
}

// distrust checks everything that this worker holds. failed: some of it could not be checked.
func (w *Worker) distrust(ctx context.Context, forgot bool) (failed bool) {
	var checks sync.WaitGroup
	var mu sync.Mutex
	check := func(f func() error) {
		checks.Go(func() {
			if err := f(); err != nil {
				w.log.Warn("could not check whether a task is still this worker's, will try again", "err", err)
				mu.Lock()
				failed = true
				mu.Unlock()
			}
		})
	}
	for _, a := range w.running.all() {
		check(func() error { return a.hold.check(ctx, w.records, forgot) })
	}
	if forgot {
		for _, e := range w.ended.all() {
			if e.chat.ChatID == "" {
				continue
			}
			check(func() error {
				_, err := w.records.GiveOver(ctx, e.chat)
				return err
			})
		}
	}
	checks.Wait()
	return failed
}
