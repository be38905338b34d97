package worker

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
)

// tooLate ends the record of a task that asynq no longer gives to a handler: its producer, which was not tasks.Client, gave it
// an asynq.Deadline that has passed. asynq calls only this, its error handler, and brings the task back in vain until its
// retries are used up.
//
// An attempt that still runs ends by itself before that moment, see ownDeadline, and ends the record.
func (w *Worker) tooLate(asynqCtx context.Context, t *asynq.Task, err error) {
	if !missedDeadline(err) {
		return
	}
	w.wg.Add(1)
	defer w.wg.Done()
	a := w.newAttempt(asynqCtx)
	if w.running.has(a.id) {
		return
	}
	ctx, release := w.running.begin(context.WithoutCancel(asynqCtx), a)
	defer release()
	why, err := a.begin(ctx, t)
	if err != nil {
		a.log.Warn("could not end a task whose deadline has passed, will try again", "err", err)
		return
	}
	if a.rec.Ended {
		return
	}
	a.observe(w.tracing)
	if why == nil {
		why = a.prepare()
	}
	var chat *coze.Chat // it may have its answer, which no attempt has read
	switch {
	case a.untouched() && (why == nil || keyMissing(why)):
		why = errExpired
	case why == nil:
		if why = a.calls.identify(ctx); why == nil {
			chat, why = a.cancelChat(ctx, errDeadline)
		}
	}
	_, _ = a.settlement.settle(context.WithoutCancel(ctx), chat, why)
}

// missedDeadline reports whether an error is asynq's own about a deadline that has passed, and not a handler's outcome.
func missedDeadline(err error) bool {
	_, ours := errors.AsType[*outcome](err)
	return !ours && errors.Is(err, context.DeadlineExceeded)
}
