package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/flags"
	"github.com/cozeq/cozeq/internal/misuse"
	"github.com/cozeq/cozeq/tasks"
)

// Served returns a noWorkerError if no live worker takes tasks from the queue, of a
// NAME/N from each. A worker that was killed counts as alive for 10 s more: asynq
// cannot know.
func (s *Session) Served(queue string) error {
	shards, err := tasks.Shards(queue)
	if err != nil {
		return err
	}
	servers, err := asynq.NewInspectorFromRedisClient(s.Redis).Servers()
	if err != nil {
		return err
	}
	for _, queue := range shards {
		if !slices.ContainsFunc(servers, func(i *asynq.ServerInfo) bool {
			return i.Status == "active" && i.Queues[queue] > 0
		}) {
			return &exitcode.NoWorkerError{Queue: queue}
		}
	}
	return nil
}

// workerWait is how long a command looks for a worker before it gives up. A worker that
// is just starting is there within a second. One that has started long ago may be missing
// for 5 s: asynq's word that it lives comes each 5 s, and is lost where Redis was restarted
// without its data, or with the node of a cluster that had it.
const workerWait = 6 * time.Second

const workerWaitFlag = "worker-wait"

func AddWorkerWait(cmd *cobra.Command, d *time.Duration) {
	flags.Duration(cmd.Flags(), d, workerWaitFlag, workerWait, "with --redis: wait this long for a worker of the queue before giving up")
}

// CheckWorkerWait reports what is wrong with the flag.
func CheckWorkerWait(cmd *cobra.Command, given time.Duration, shared bool) error {
	switch {
	case given < 0:
		return misuse.Errorf(cmd, "--worker-wait %v, want 0 or more", given)
	case cmd.Flags().Changed(workerWaitFlag) && !shared:
		return misuse.Errorf(cmd, "--worker-wait %w", ErrNeedsRedis)
	}
	return nil
}

// AwaitServed is served for a command that needs a worker: where there is none it says
// so, and looks again for as long as wait. Only the first look gives up over any other
// error: later ones may meet a Redis that is being restarted.
func (s *Session) AwaitServed(ctx context.Context, queue string, wait time.Duration, say io.Writer) error {
	err := s.Served(queue)
	none, nobody := errors.AsType[*exitcode.NoWorkerError](err)
	if !nobody || wait == 0 {
		return err
	}
	fmt.Fprintf(say, "cozeq: waiting for a worker of queue %s, for up to %v\n", none.Queue, wait)
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

// NoteUnserved says where no worker serves the queue at present. It does not wait: what
// was enqueued does.
func (s *Session) NoteUnserved(w io.Writer, queue, then string) {
	if none, nobody := errors.AsType[*exitcode.NoWorkerError](s.Served(queue)); nobody {
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

// WatchServed looks now and then whether the queue is still served, until stop,
// and says so once each time that it no longer is. Workers may be restarting, so
// it is no reason to give up; but a person should not wait for nobody.
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
