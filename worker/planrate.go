package worker

import (
	"context"
	"time"

	"github.com/cozeq/cozeq/coze"
)

// Where the token may read it, Coze tells what the account's plan allows. That is only
// a hint: less may hold at a moment, and the limiter learns it. It shortens the way up
// from the first rate, so it is asked for once a process and credential, when a
// question has to wait for the first time.
const (
	hintAfter = 50 * time.Millisecond
	hintWait  = 5 * time.Second
	hintShare = 0.9 // of what the plan allows: other programs may call too
)

// askPlanRate asks for the plan's rate beside what the worker does.
func (w *Worker) askPlanRate(client *coze.Client, credential string) {
	w.mu.Lock()
	asked := w.hinted[credential]
	w.hinted[credential] = true
	w.mu.Unlock()
	if asked {
		return
	}
	w.wg.Go(func() {
		ctx, cancel := context.WithTimeout(w.life, hintWait)
		defer cancel()
		rate, err := client.ChatRate(ctx)
		if err != nil || rate == 0 {
			w.log.Debug("the plan's rate is not to be had, it will be learnt", "credential", credential, "err", err)
			return
		}
		if err := w.limit.Know(ctx, credential, rate*hintShare); err != nil {
			w.log.Debug("could not note the plan's rate, it will be learnt", "credential", credential, "err", err)
			return
		}
		w.log.Debug("the plan allows a rate", "credential", credential, "calls_per_second", rate)
	})
}
