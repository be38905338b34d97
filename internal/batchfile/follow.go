package batchfile

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/tasks/batches"
)

// How often Follow looks at a batch, and how long nothing may move in it before its rows are compared with what is in
// the queue: what Redis has lost would be waited for in vain. That costs as much as to enqueue them, so the next time
// comes after twice as long.
const (
	followEvery = 500 * time.Millisecond
	mendAfter   = time.Minute
	mendLongest = time.Hour
)

// Watcher is told what Follow sees. What of it is nil is told nothing.
type Watcher struct {
	Show    func(*batches.Status)  // at each look
	Mended  func(batches.Repaired) // nothing has moved, and this was put right: see batches.Client.Mend
	Stalled func(*batches.Status)  // nothing has moved, and nothing was found wrong
}

// Follow looks at the batch until it has ended, or ctx has, and returns it as it was seen last. While Redis is away for a
// restart or a failover it waits.
func (d *Detached) Follow(ctx context.Context, w Watcher) (*batches.Status, error) {
	last := d.Batch
	moved, after := time.Now(), mendAfter
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
				moved, after = time.Now(), mendAfter
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
				moved, after = time.Now(), min(2*after, mendLongest)
			}
		}
		select {
		case <-ctx.Done():
			return last, context.Cause(ctx)
		case <-time.After(followEvery):
		}
	}
}

// stalled looks after a batch in which nothing moves. What fails here is tried again later.
func (d *Detached) stalled(ctx context.Context, w Watcher, b *batches.Status) {
	done, err := d.Batches.Repair(ctx, b.ID)
	switch {
	case err != nil:
	case done != (batches.Repaired{}):
		if w.Mended != nil {
			w.Mended(done)
		}
	case w.Stalled != nil:
		w.Stalled(b)
	}
}
