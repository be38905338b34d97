package worker

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
)

// tooLate ends the record of a task that asynq does not hand out any more: its
// producer, which was not tasks.Client, gave it an asynq.Deadline that has passed.
// asynq hands such a task to nobody but this, its error handler, and brings it back
// until its retries are used up, in vain.
//
// A handler of ours that still runs ends by itself before that moment, see
// ownDeadline, and its record with it.
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
	var answer *coze.Chat // a chat may have ended with one, unseen
	switch {
	case why != nil && !(keyMissing(why) && a.rec.Result.ChatID == "" && a.rec.AskedAt.IsZero()):
	case a.rec.Result.ChatID == "" && a.rec.AskedAt.IsZero():
		why = errExpired
	default:
		if why = a.calls.identify(ctx); why == nil {
			answer, why = a.cancelChat(ctx, errDeadline)
		}
	}
	_, _ = a.settle(context.WithoutCancel(ctx), answer, why)
}

// missedDeadline tells asynq's own word that a task's deadline has passed from the
// outcome of a handler.
func missedDeadline(err error) bool {
	_, ours := errors.AsType[*outcome](err)
	return !ours && errors.Is(err, context.DeadlineExceeded)
}
