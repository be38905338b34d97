// Package backoff holds the one way in which this program waits before it tries again: exponentially longer waits with
// jitter, a cap and a deadline, that end with their context.
//
// It does not decide whether a task is asked again: the worker's judge does, and takes from here how long that waits.
// The number of earlier waits is in the task's record, as the next try may be another process's. So [Policy.Wait] is a
// function of that number; github.com/cenkalti/backoff keeps it in an iterator, which is why it is not used here.
package backoff

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// Policy says how long to wait between tries.
type Policy struct {
	First  time.Duration // the wait before the second try
	Most   time.Duration // the cap of a wait, before jitter
	Factor float64       // from one wait to the next; 0: 2
	For    time.Duration // no try begins later than this after the first one; 0: no deadline

	// Jitter is the share by which a wait is longer or shorter at random, so that a crowd that failed together does
	// not come back together. 1 is full jitter: anything from none to twice the wait.
	Jitter float64
}

// Wait is how long to wait after n earlier waits.
func (p Policy) Wait(n int) time.Duration {
	factor := p.Factor
	if factor == 0 {
		factor = 2
	}
	wait := min(float64(p.Most), float64(p.First)*math.Pow(factor, float64(n)))
	return time.Duration(wait * (1 + p.Jitter*(2*rand.Float64()-1)))
}

// Waits are the waits of one series of tries.
type Waits struct {
	policy Policy
	n      int
}

func (p Policy) Start() *Waits { return &Waits{policy: p} }

// Sleep waits for its turn, or for least if that is longer. It returns the context's cause if that ends first.
func (w *Waits) Sleep(ctx context.Context, least time.Duration) error {
	w.n++
	return Sleep(ctx, max(least, w.policy.Wait(w.n-1)))
}

// Retry calls try until it succeeds, again says no, or the time is up: then it returns the last error. It returns the
// context's cause if the context ends during a wait. again, which may be nil, learns of each error that is to be
// followed by another try, and of the wait before it.
func (p Policy) Retry(ctx context.Context, try func() error, again func(err error, wait time.Duration) bool) error {
	began := time.Now()
	for n := 0; ; n++ {
		err := try()
		if err == nil || p.For > 0 && time.Since(began) > p.For {
			return err
		}
		wait := p.Wait(n)
		if again != nil && !again(err, wait) {
			return err
		}
		if err := Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// Sleep waits for d. It returns the context's cause if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
