// Package redisretry repeats steps while Redis is away: for a restart or a failover.
package redisretry

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Patience is how long a step that has begun waits for Redis.
const Patience = 2 * time.Minute

// Policy is how long to wait between two tries.
var Policy = backoff.Policy{First: 100 * time.Millisecond, Most: 5 * time.Second, For: Patience}

// Do repeats a step while Redis is away. The step must be one that may be done twice. Once a step has succeeded (begun),
// errors that Redis itself returns are retried, too: a replica that is not the master yet, a data set that is loading.
// Before that they more probably mean that something is set up wrong, and waiting would only hide it.
func Do(ctx context.Context, begun bool, step func() error) error {
	return Policy.Retry(ctx, step, func(err error, _ time.Duration) bool {
		return ctx.Err() != nil || !final(err) && (begun || silent(err)) // an ended context says itself why it ended
	})
}

// final tells the errors that will be the same at the next try.
func final(err error) bool {
	_, invalid := errors.AsType[*tasks.InvalidError](err)
	return invalid || errors.Is(err, batches.ErrCanceled) || errors.Is(err, batches.ErrNotFound)
}

// silent tells a Redis that is not there from one that answers.
func silent(err error) bool {
	_, unreached := errors.AsType[net.Error](err)
	return unreached || errors.Is(err, io.EOF)
}
