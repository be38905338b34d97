package embeddedredis

import (
	"context"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// The clock advances TTLs by walking all keys under miniredis' one lock: 0.4, 3.5 and 72 ms at 1k, 10k and 100k keys.
// It rests fifty times as long as its last walk took, so that it costs at most 2 % of one core, between bounds: below
// the lower one nobody would see a difference, above the upper one short TTLs would mean little.
const (
	restFactor = 50
	minRest    = 250 * time.Millisecond
	maxRest    = 4 * time.Second
)

// runClock makes TTLs pass until ctx is done.
//
// miniredis' own ClockTTL mode would do the same walk at each command (with 10k keys: 14 tasks a second through
// asynq). The price of walking seldom is that a key loses a whole step at the first walk after it was written, so it
// may end up to one rest early; never late by more than that.
func runClock(ctx context.Context, mini *miniredis.Miniredis, versions *versions) {
	last := time.Now()
	alarm := time.NewTimer(minRest)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-alarm.C:
		}
		now := time.Now()
		mini.FastForward(now.Sub(last))
		versions.forget()
		last = now
		alarm.Reset(rest(time.Since(now)))
	}
}

// rest is the pause after a walk that took cost.
func rest(cost time.Duration) time.Duration {
	return min(max(cost*restFactor, minRest), maxRest)
}
