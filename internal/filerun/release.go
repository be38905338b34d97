package filerun

import (
	"context"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/redisretry"
	"github.com/cozeq/cozeq/results"
)

// releaseChunk is how many results leave Redis together, at most.
const releaseChunk = 250

// releaser takes results out of Redis that are in the journal, beside the run. While Redis is away they pile up, at most
// the window and what the cache answers. A nil releaser leaves results in Redis. It is safe for concurrent use.
type releaser struct {
	remove func(context.Context, []*results.Result) error

	mu   sync.Mutex
	all  []*results.Result
	last bool          // no more will come
	more chan struct{} // capacity 1: all or last has changed
}

func newReleaser(remove func(context.Context, []*results.Result) error) *releaser {
	return &releaser{remove: remove, more: make(chan struct{}, 1)}
}

// add takes a result that is in the journal. Of its content only what the batch counts is held.
func (l *releaser) add(res *results.Result) {
	if l == nil {
		return
	}
	l.change(func() {
		l.all = append(l.all, &results.Result{
			ID: res.ID, BatchID: res.BatchID, Status: res.Status, Usage: res.Usage, Error: res.Error, Attempts: res.Attempts,
		})
	})
}

func (l *releaser) change(how func()) {
	l.mu.Lock()
	how()
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// next waits for the next chunk. It is empty when there will be none.
func (l *releaser) next() []*results.Result {
	for {
		l.mu.Lock()
		n := min(len(l.all), releaseChunk)
		chunk, last := l.all[:n:n], l.last
		l.all = l.all[n:]
		l.mu.Unlock()
		if n > 0 || last {
			return chunk
		}
		<-l.more
	}
}

// start begins to release. stop waits for the last results, but not longer than lastLook.
func (l *releaser) start(ctx context.Context) (stop func()) {
	if l == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Redis may be restarting. A result that stays costs memory until it expires, no more: the batch knows from the
		// workers that its row has ended.
		always := redisretry.Policy
		always.For = 0
		for chunk := l.next(); len(chunk) > 0; chunk = l.next() {
			if always.Retry(ctx, func() error { return l.remove(ctx, chunk) }, nil) != nil {
				return
			}
		}
	}()
	return func() {
		l.change(func() { l.last = true })
		late := time.AfterFunc(lastLook, cancel)
		<-done
		late.Stop()
		cancel()
	}
}

// removeResults takes results out of Redis.
func (r *run) removeResults(ctx context.Context, chunk []*results.Result) error {
	if r.shared != nil {
		return r.shared.batches.Release(ctx, chunk)
	}
	ids := make([]string, len(chunk))
	for i, res := range chunk {
		ids[i] = res.ID
	}
	return r.job.Results.Delete(ctx, ids...)
}
