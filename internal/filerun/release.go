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

// forgets reports whether results leave Redis once they are in the journal.
func (r *run) forgets() bool { return r.Forget || r.Batches != nil }

// releases are results that are in the journal, and in Redis or unknown to the run's batch still. While Redis is away they
// are no more than the window and what the cache answers.
type releases struct {
	mu   sync.Mutex
	all  []*results.Result
	more chan struct{} // capacity 1: there are some
	last bool          // no more will come
}

func (r *releases) add(res *results.Result) {
	r.mu.Lock()
	r.all = append(r.all, res)
	r.mu.Unlock()
	r.wake()
}

func (r *releases) end() {
	r.mu.Lock()
	r.last = true
	r.mu.Unlock()
	r.wake()
}

func (r *releases) wake() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// next takes the next chunk, and waits for it. It is empty when there will be none.
func (r *releases) next() []*results.Result {
	for {
		r.mu.Lock()
		n := min(len(r.all), releaseChunk)
		chunk, last := r.all[:n:n], r.last
		r.all = r.all[n:]
		r.mu.Unlock()
		if n > 0 || last {
			return chunk
		}
		<-r.more
	}
}

// letGo gives a result that is in the journal to those that leave Redis.
func (r *run) letGo(res *results.Result) {
	if r.forgets() {
		r.releases.add(&results.Result{
			ID: res.ID, BatchID: res.BatchID, Status: res.Status, Usage: res.Usage, Error: res.Error, Attempts: res.Attempts,
		})
	}
}

// releasing takes results out of Redis beside the run. stop waits for the last of them, though not long.
func (r *run) releasing(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.release(ctx)
	}()
	return func() {
		r.releases.end()
		late := time.AfterFunc(lastLook, cancel)
		<-done
		late.Stop()
		cancel()
	}
}

func (r *run) release(ctx context.Context) {
	waits := redisretry.Policy
	waits.For = 0 // as long as the run lets it
	for chunk := r.releases.next(); len(chunk) > 0; chunk = r.releases.next() {
		// Redis may be restarting. What is in it after all is memory for the time that results are kept, and no more than
		// that: their batch knows of them from the workers.
		if waits.Retry(ctx, func() error { return r.releaseAll(ctx, chunk) }, nil) != nil {
			return
		}
	}
}

func (r *run) releaseAll(ctx context.Context, chunk []*results.Result) error {
	if r.Batches != nil {
		return r.Batches.Release(ctx, chunk)
	}
	ids := make([]string, len(chunk))
	for i, res := range chunk {
		ids[i] = res.ID
	}
	return r.Results.Delete(ctx, ids...)
}
