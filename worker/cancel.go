package worker

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/internal/backoff"
)

// hearCancellations ends the attempts of tasks that somebody canceled, until ctx
// ends. A request that was published while nobody listened is found by the look
// at the records after each reconnection.
func (w *Worker) hearCancellations(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.results.Cancellations(ctx, w.cancel, func() { w.checkCancellations(ctx) })
		if ctx.Err() != nil {
			return
		}
		w.log.Warn("no word of cancellations, will subscribe again", "err", err)
		_ = backoff.Sleep(ctx, time.Second)
	}
}

func (w *Worker) cancel(id string) { w.running.stop(id, errCanceled) }

func (w *Worker) checkCancellations(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	var ids []string
	for _, a := range w.running.all() {
		ids = append(ids, a.id)
	}
	if len(ids) == 0 {
		return
	}
	requested, err := w.results.CancelRequested(ctx, ids)
	for _, id := range requested {
		w.cancel(id)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("could not read requests to cancel, will try again", "err", err)
		time.AfterFunc(time.Second, func() { w.checkCancellations(ctx) })
	}
}
