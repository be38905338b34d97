package worker

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/record"
)

// hearCancellations ends the attempts of tasks that are canceled, until ctx ends. After each connection it also looks at the
// records: a request may have been published while this process was not connected.
func (w *Worker) hearCancellations(ctx context.Context) {
	cancel := func(id string) { w.running.stop(id, errCanceled) }
	for ctx.Err() == nil {
		err := w.records.Cancellations(ctx, cancel, func() { w.checkCancellations(ctx) })
		if ctx.Err() != nil {
			return
		}
		w.log.Warn("lost the subscription to cancellations, will subscribe again", "err", err)
		_ = backoff.Sleep(ctx, time.Second)
	}
}

func (w *Worker) checkCancellations(ctx context.Context) {
	var ids []string
	for _, a := range w.running.all() {
		ids = append(ids, a.id)
	}
	if len(ids) == 0 || ctx.Err() != nil {
		return
	}
	requested, err := w.records.CancelRequested(ctx, ids)
	for _, id := range requested {
		w.running.stop(id, errCanceled)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("could not read requests to cancel, will try again", "err", err)
		time.AfterFunc(time.Second, func() { w.checkCancellations(ctx) })
	}
}

// interrupted returns what an attempt ends with whose context ended first.
func (a *attempt) interrupted(ctx context.Context, err error) (*coze.Chat, error) {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errCanceled), errors.Is(cause, errDeadline):
		return a.cancelChat(context.WithoutCancel(ctx), cause)
	case errors.Is(cause, errShutdown), errors.Is(cause, record.ErrFenced):
		return nil, cause
	}
	return nil, err
}

// upstreamWait bounds what is done at Coze after an attempt's own time is over.
const upstreamWait = 10 * time.Second

// cancelChat cancels the attempt's chat at Coze, and returns why. If the chat has completed meanwhile, it is paid for, and its
// answer is returned instead.
//
// A canceled chat is forgotten. After a deadline the question is asked again, so the chat is forgotten only if Coze says that
// it has ended; its conversation is forgotten too, as Coze may still be at work in it.
func (a *attempt) cancelChat(ctx context.Context, why error) (*coze.Chat, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	if a.payload.IsWorkflow() {
		return a.workflow.leave(ctx, why)
	}
	r := &a.rec.Result
	if r.ChatID == "" && !a.rec.AskedAt.IsZero() {
		if _, err := a.lookup.find(ctx); err != nil {
			a.log.Warn("could not find out whether the question was taken", "err", err)
		}
	}
	if r.ChatID == "" {
		return nil, why
	}
	call := a.spans.Call("coze chat/cancel", a.coze)
	_, cancelErr := a.coze.CancelChat(ctx, r.ConversationID, r.ChatID)
	call.End(cancelErr)
	if cancelErr != nil {
		a.log.Warn("could not cancel the chat", "chat", r.ChatID, "err", cancelErr)
	}
	// The reply to a cancellation can say anything. What a retrieval says holds.
	ended, waits := false, false
	if chat, err := a.coze.RetrieveChat(ctx, r.ConversationID, r.ChatID); err == nil {
		a.keepUsage(chat)
		waits = chat.Status == coze.StatusRequiresAction
		ended = cancelErr == nil || chat.Status.Terminal() && !(waits && a.tools.awaited(chat) != nil)
		if ended && chat.Status == coze.StatusCompleted {
			err := a.lookup.readMessages(ctx, chat)
			if err == nil {
				return chat, nil
			}
			ended = errors.Is(err, errEmpty)
		}
	}
	late := errors.Is(why, errDeadline)
	if late && !ended {
		return nil, why // it may have its answer yet, or go on with tools: the next attempt looks it up
	}
	if r.ChatID != "" {
		a.chatEnded(r.ChatID)
	}
	if late || waits { // it waits for ever, and keeps its conversation busy
		a.conversations.forget(ctx)
	}
	a.rec.AskedAt = time.Time{}
	return nil, why
}

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
