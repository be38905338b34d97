package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/backoff"
)

// Intervals of asynq's own machinery.
const (
	// lookEvery is how often an idle process looks for deliveries. Nobody waits for one as for an answer.
	lookEvery = 100 * time.Millisecond

	forwardEvery = 500 * time.Millisecond // a wait of 5 s takes about 5 s
	janitorEvery = 10 * time.Second
	checkEvery   = time.Microsecond // the Poller does the waiting, see there
	reapEvery    = 3 * time.Second
	strayEvery   = 10              // rounds of reapEvery
	calm         = 7 * time.Second // Redis must have answered for this long before a lease is judged
	reapChunk    = 100
)

// Run delivers until ctx ends. Then it takes no more events, gives those under way Config.Drain to end, puts the rest back
// and returns. It returns an error only if it could not begin. A Sender runs once.
func (s *Sender) Run(ctx context.Context) error {
	rdb := s.store.Redis()
	if err := asynqx.Register(ctx, rdb, Queue); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	poller := asynqx.NewPoller(rdb, []string{Queue}, func() bool { return false })
	poller.Every = lookEvery
	server := asynq.NewServerFromRedisClient(poller.Client(), asynq.Config{
		Concurrency:              s.cfg.MaxConcurrent,
		Queues:                   map[string]int{Queue: 1},
		TaskCheckInterval:        checkEvery,
		DelayedTaskCheckInterval: forwardEvery,
		JanitorInterval:          janitorEvery,
		ShutdownTimeout:          s.cfg.Drain,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		Logger:                   asynqx.Log{To: s.log},
		LogLevel:                 asynq.WarnLevel,
		BaseContext:              context.Background,
	})
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var actors, handlers sync.WaitGroup
	defer s.client.close()
	defer actors.Wait()
	defer stop()
	actors.Go(func() { poller.Watch(background) })
	actors.Go(func() { s.reap(background) })
	err := server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		handlers.Add(1)
		defer handlers.Done()
		return s.process(ctx, t)
	}))
	if err != nil {
		poller.Close()
		return fmt.Errorf("webhook: start: %w", err)
	}
	s.log.Debug("delivering webhooks", "concurrency", s.cfg.MaxConcurrent)
	err = s.watch.run(ctx)
	<-ctx.Done() // also where ends cannot be waited for: the watchdog finds them
	poller.Close()
	server.Shutdown()
	handlers.Wait()
	return err
}

// reap puts deliveries of dead processes back. A process that was only slow may then deliver one as well: its receiver
// sees the same webhook-id twice.
func (s *Sender) reap(ctx context.Context) {
	leases := asynqx.Leases{Redis: s.store.Redis()}
	trouble := time.Time{}
	for round := 1; backoff.Sleep(ctx, reapEvery) == nil; round++ {
		if err := s.store.Redis().Ping(ctx).Err(); err != nil {
			trouble = time.Now()
		}
		if time.Since(trouble) < calm {
			continue
		}
		err := s.reapDue(ctx, leases)
		if round%strayEvery == 0 {
			err = errors.Join(err, s.reapStrays(ctx, leases))
		}
		if err != nil && ctx.Err() == nil {
			trouble = time.Now()
			s.log.Warn("could not look for webhooks of dead processes", "err", err)
		}
	}
}

func (s *Sender) reapDue(ctx context.Context, leases asynqx.Leases) error {
	limit := time.Now().Add(asynqx.OrphanLease)
	due, err := leases.Due(ctx, Queue, limit, reapChunk)
	if err != nil || len(due) == 0 {
		return err
	}
	var ids []string
	for _, task := range due {
		if s.readable(task) {
			ids = append(ids, task.ID)
		}
	}
	back, err := leases.PutBackDue(ctx, Queue, limit, ids)
	for _, id := range back {
		s.log.Warn("webhook put back in the queue: its process is gone", "task", id)
	}
	return err
}

func (s *Sender) reapStrays(ctx context.Context, leases asynqx.Leases) error {
	strays, err := leases.Strays(ctx, Queue)
	if err != nil {
		return err
	}
	for _, task := range strays {
		if !s.readable(task) {
			continue
		}
		back, err := leases.PutBackStray(ctx, Queue, task.ID)
		if err != nil {
			return err
		}
		if back {
			s.log.Warn("webhook put back in the queue: it was active without a lease", "task", task.ID)
		}
	}
	return nil
}

// readable reports whether asynq can hand the task out: otherwise putting it back would never end.
func (s *Sender) readable(task asynqx.Leased) bool {
	id, queue, ok := asynqx.Message(task.Message)
	if ok && id == task.ID && queue == Queue {
		return true
	}
	s.log.Error("a task of queue webhooks cannot be read: delete it from the dashboard", "task", task.ID)
	return false
}
