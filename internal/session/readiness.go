package session

import (
	"context"
	"errors"
	"sync/atomic"
)

var errStarting = errors.New("starting: redis does not answer yet")

// readiness is the answer of /readyz, which is served before there is a worker
// to ask.
type readiness struct {
	ready atomic.Pointer[func(context.Context) error]
}

func (r *readiness) set(check func(context.Context) error) { r.ready.Store(&check) }

func (r *readiness) Check(ctx context.Context) error {
	if check := r.ready.Load(); check != nil {
		return (*check)(ctx)
	}
	return errStarting
}
