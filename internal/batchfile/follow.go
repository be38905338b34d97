package batchfile

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/tasks/batches"
)

// How often Follow looks at a batch, and how long nothing may change before its rows are compared with the queue: what Redis
// has lost would never end. That costs as much as enqueuing them, so the wait doubles each time.
const (
	followEvery   = 500 * time.Millisecond
	repairAfter   = time.Minute
	repairLongest = time.Hour
)

// Watcher gets what Follow sees. Each field may be nil.
type Watcher struct {
	Show     func(*batches.Status)  // at each look
	Repaired func(batches.Repaired) // nothing has changed, and this was repaired: see batches.Client.Repair
	Stalled  func(*batches.Status)  // nothing has changed, and nothing is wrong
}

// Follow looks at the batch until it or ctx ends, and returns what it saw last. While Redis is away it waits.
func (d *Detached) Follow(ctx context.Context, w Watcher) (*batches.Status, error) {
	last := d.Batch
	moved, after := time.Now(), repairAfter
	giveUp := time.Time{}
	for {
		b, err := d.Batches.Get(ctx, d.Batch.ID)
		switch {
		case ctx.Err() != nil:
			return last, context.Cause(ctx)
		case errors.Is(err, batches.ErrNotFound):
			return last, err
		case err != nil && giveUp.IsZero():
			giveUp = time.Now().Add(redisretry.Patience)
		case err != nil && time.Now().After(giveUp):
			return last, err
		case err != nil:
		default:
			giveUp = time.Time{}
			if b.Counts != last.Counts || b.Enqueued != last.Enqueued {
				moved, after = time.Now(), repairAfter
			}
			last = b
			if w.Show != nil {
				w.Show(b)
			}
			if b.Counts.Open() == 0 {
				return b, nil
			}
			if b.Counts.Running == 0 && time.Since(moved) >= after {
				d.stalled(ctx, w, b)
				moved, after = time.Now(), min(2*after, repairLongest)
			}
		}
		select {
		case <-ctx.Done():
			return last, context.Cause(ctx)
		case <-time.After(followEvery):
		}
	}
}

// stalled repairs a batch in which nothing changes. A failure is retried later.
func (d *Detached) stalled(ctx context.Context, w Watcher, b *batches.Status) {
	done, err := d.Batches.Repair(ctx, b.ID)
	switch {
	case err != nil:
	case done != (batches.Repaired{}):
		if w.Repaired != nil {
			w.Repaired(done)
		}
	case w.Stalled != nil:
		w.Stalled(b)
	}
}
