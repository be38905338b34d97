package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/tasks"
)

// served returns a noWorkerError if no live worker takes tasks from the queue, of a
// NAME/N from each. A worker that was killed counts as alive for 10 s more: asynq
// cannot know.
func (s *session) served(queue string) error {
	shards, err := tasks.Shards(queue)
	if err != nil {
		return err
	}
	servers, err := asynq.NewInspectorFromRedisClient(s.rdb).Servers()
	if err != nil {
		return err
	}
	for _, queue := range shards {
		if !slices.ContainsFunc(servers, func(i *asynq.ServerInfo) bool {
			return i.Status == "active" && i.Queues[queue] > 0
		}) {
			return &noWorkerError{queue: queue}
		}
	}
	return nil
}

// missedBeat is how long a cluster is asked again before nobody is taken for a worker:
// asynq's word that one lives comes each 5 s, holds for 10 s, and stands on one of the
// nodes. It may be lost with that node, and while another takes its place not everybody
// knows yet where to look.
const missedBeat = 6 * time.Second

// awaitServed is served for who would give up: in a cluster it looks more than once.
func (s *session) awaitServed(ctx context.Context, queue string) error {
	err := s.served(queue)
	if _, cluster := s.rdb.(*redis.ClusterClient); !cluster {
		return err
	}
	giveUp := time.After(missedBeat)
	again := time.NewTicker(missedBeat / 20)
	defer again.Stop()
	for {
		if _, nobody := errors.AsType[*noWorkerError](err); !nobody {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-giveUp:
			return err
		case <-again.C:
			err = s.served(queue)
		}
	}
}

// queuesOf are the queues of a name, for a worker that serves nothing else.
func queuesOf(name string) map[string]int {
	shards, _ := tasks.Shards(name) // worker.New wants a queue, and says so
	queues := make(map[string]int, len(shards))
	for _, queue := range shards {
		queues[queue] = 1
	}
	return queues
}

// servedEvery is how often a run over a shared Redis looks after its workers.
const servedEvery = 15 * time.Second

// watchServed looks now and then whether the queue is still served, until stop,
// and says so once each time that it no longer is. Workers may be restarting, so
// it is no reason to give up; but a person should not wait for nobody.
func watchServed(ctx context.Context, look func() error, say func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(servedEvery)
		defer tick.Stop()
		for said := false; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := look()
			_, gone := errors.AsType[*noWorkerError](err)
			if gone && !said {
				say(err)
			}
			if gone || err == nil { // a Redis that does not answer tells nothing
				said = gone
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}
