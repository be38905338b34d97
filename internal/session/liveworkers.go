package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/tasks"
)

// Served returns an exitcode.NoWorkerError if no live worker serves the queue, or one of the shards of a NAME/N. asynq
// counts a killed worker as alive for 10 s more.
func (s *Session) Served(queue string) error {
	shards, err := tasks.Shards(queue)
	if err != nil {
		return err
	}
	missing, err := asynqx.Unserved(s.Redis, shards)
	if err != nil || missing == "" {
		return err
	}
	return &exitcode.NoWorkerError{Queue: missing}
}

// workerWait is how long a command looks for a worker before it gives up. A worker that starts is visible within a second.
// A running one writes its heartbeat every 5 s; it may be missing for as long after Redis has lost its data.
const workerWait = 6 * time.Second

const workerWaitFlag = "worker-wait"

func AddWorkerWait(cmd *cobra.Command, d *time.Duration) {
	flags.Duration(cmd.Flags(), d, workerWaitFlag, workerWait, "with --redis: wait this long for a worker of the queue before giving up")
}

// CheckOwnWorker refuses --with-worker where this process asks in any case, and the worker's flags where only others ask; more are
// flags that only the worker of this command takes.
func CheckOwnWorker(cmd *cobra.Command, withWorker, shared bool, more ...string) error {
	if withWorker && !shared {
		return misuse.Errorf(cmd, "--with-worker %w; alone there is a worker in any case", ErrNeedsRedis)
	}
	for _, flag := range append(more, settings.Rate, settings.MaxAnswer) {
		if shared && !withWorker && cmd.Flags().Changed(flag) {
			return misuse.Errorf(cmd, "--%s is for the worker of this process: add --with-worker, or set it where the workers run", flag)
		}
	}
	return nil
}

func CheckWorkerWait(cmd *cobra.Command, given time.Duration, shared bool) error {
	switch {
	case given < 0:
		return misuse.Errorf(cmd, "--worker-wait %v, want 0 or more", given)
	case cmd.Flags().Changed(workerWaitFlag) && !shared:
		return misuse.Errorf(cmd, "--worker-wait %w", ErrNeedsRedis)
	}
	return nil
}

// AwaitServed waits up to wait for a worker, and says so. Another error ends only the first look: a later one may meet a
// Redis that restarts.
func (s *Session) AwaitServed(ctx context.Context, queue string, wait time.Duration, say io.Writer) error {
	err := s.Served(queue)
	none, missing := errors.AsType[*exitcode.NoWorkerError](err)
	if !missing || wait == 0 {
		return err
	}
	fmt.Fprintf(say, "cozeq: waiting for a worker of queue %s, for up to %s\n", none.Queue, flags.Format(wait))
	giveUp := time.After(wait)
	again := time.NewTicker(workerWait / 30)
	defer again.Stop()
	for err != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-giveUp:
			return err
		case <-again.C:
			err = s.Served(queue)
		}
	}
	return nil
}

// NoteUnserved says that no worker serves the queue, if that is so. It does not wait.
func (s *Session) NoteUnserved(w io.Writer, queue, then string) {
	if none, missing := errors.AsType[*exitcode.NoWorkerError](s.Served(queue)); missing {
		fmt.Fprintf(w, "cozeq: %v: %s ('cozeq worker' starts one)\n", none, then)
	}
}

// QueuesOf are the queues of a name, for a worker that serves nothing else.
func QueuesOf(name string) map[string]int {
	shards, _ := tasks.Shards(name) // worker.New wants a queue, and says so
	queues := make(map[string]int, len(shards))
	for _, queue := range shards {
		queues[queue] = 1
	}
	return queues
}

// servedEvery is how often a run over a shared Redis looks after its workers.
const servedEvery = 15 * time.Second

// WatchServed looks now and then whether the queue is still served, until stop, and says once each time that it no longer is.
// The run goes on waiting: the workers may be restarting.
func WatchServed(ctx context.Context, look func() error, say func(error)) (stop func()) {
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
			_, gone := errors.AsType[*exitcode.NoWorkerError](err)
			if gone && !said {
				say(err)
			}
			if gone || err == nil { // without an answer from Redis nothing is known
				said = gone
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// Concurrency is how many chats the live workers of a queue have at a time, together.
func (s *Session) Concurrency(queue string) (n int, err error) {
	servers, err := asynq.NewInspectorFromRedisClient(s.Redis).Servers()
	for _, i := range servers {
		for name := range QueuesOf(queue) {
			if i.Status == "active" && i.Queues[name] > 0 {
				n += i.Concurrency
				break
			}
		}
	}
	return n, err
}
