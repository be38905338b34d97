package batch

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/cozeq/cozeq/tasks"
)

// Redis may be away for a while, for a restart or a failover. What has begun waits so long for it.
const (
	patience   = 2 * time.Minute
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// patiently repeats a step while Redis is away. The step must be one that may be done twice. What Redis itself refuses
// is waited for, too, once it was well: a replica that is not the master yet, a set of data that is loading. Before that,
// with begun unset, it is more probable that something is set up wrong, and waiting would only hide it.
func patiently(ctx context.Context, begun bool, step func() error) error {
	giveUp := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := step()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if final(err) || !begun && !silent(err) || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
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
