package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"

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
