package batch

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/tasks"
)

// Redis may be away for a while, for a restart or a failover. What has begun waits so long for it.
const patience = 2 * time.Minute

var redisWaits = backoff.Policy{First: 100 * time.Millisecond, Most: 5 * time.Second, For: patience}

// patiently repeats a step while Redis is away. The step must be one that may be done twice. What Redis itself refuses
// is waited for, too, once it was well: a replica that is not the master yet, a set of data that is loading. Before that,
// with begun unset, it is more probable that something is set up wrong, and waiting would only hide it.
func patiently(ctx context.Context, begun bool, step func() error) error {
	return redisWaits.Retry(ctx, step, func(err error, _ time.Duration) bool {
		return ctx.Err() != nil || !final(err) && (begun || silent(err)) // an ended context says itself why it ended
	})
}

// final tells the errors that will be the same at the next try.
func final(err error) bool {
	_, invalid := errors.AsType[*tasks.InvalidError](err)
	return invalid || errors.Is(err, tasks.ErrBatchCanceled) || errors.Is(err, tasks.ErrNoBatch)
}

// silent tells a Redis that is not there from one that answers.
func silent(err error) bool {
	_, unreached := errors.AsType[net.Error](err)
	return unreached || errors.Is(err, io.EOF)
}
