package batch

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/results"
)

// releaseChunk is how many results leave Redis together, at most.
const releaseChunk = 250

// forgets reports whether results leave Redis once they are in the journal.
func (r *run) forgets() bool { return r.Forget || r.Batches != nil }

// letGo gives a result that is in the journal to those that leave Redis. Where there are too many, Redis being away, it
// stays: that is memory for the time that results are kept, and no more than that.
func (r *run) letGo(res *results.Result) {
	if !r.forgets() {
		return
	}
	slim := &results.Result{ID: res.ID, BatchID: res.BatchID, Status: res.Status, Usage: res.Usage, Error: res.Error, Attempts: res.Attempts}
	select {
	case r.toRelease <- slim:
	default:
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
		close(r.toRelease)
		late := time.AfterFunc(lastLook, cancel)
		<-done
		late.Stop()
		cancel()
	}
}

func (r *run) release(ctx context.Context) {
	for res := range r.toRelease {
		chunk := append(make([]*results.Result, 0, releaseChunk), res)
	gather:
		for len(chunk) < releaseChunk {
			select {
			case res, ok := <-r.toRelease:
				if !ok {
					break gather
				}
				chunk = append(chunk, res)
			default:
				break gather
			}
		}
		// Redis may be restarting. What remains after that its batch knows of from the workers.
		for pause := firstPause; r.releaseAll(ctx, chunk) != nil; pause = min(2*pause, longPause) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
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
