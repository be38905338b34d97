package worker

import (
	"context"
	"errors"
	"time"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/results"
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

// interrupted says what an attempt ends with whose context ended first.
func (a *attempt) interrupted(ctx context.Context, err error) (*coze.Chat, error) {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errCanceled), errors.Is(cause, errDeadline):
		return a.cancelChat(context.WithoutCancel(ctx), cause)
	case errors.Is(cause, errShutdown), errors.Is(cause, results.ErrFenced):
		return nil, cause
	}
	return nil, err
}

// upstreamWait bounds what is done at Coze after an attempt's own time is over.
const upstreamWait = 10 * time.Second

// cancelChat cancels the attempt's chat at Coze. A chat that completed in the
// meantime is paid for: its answer is taken after all. Otherwise the error is why,
// and the chat is forgotten; after a deadline with its conversation, in which Coze may
// still be at work, and only if the chat is known to have ended: it is to be asked
// again.
func (a *attempt) cancelChat(ctx context.Context, why error) (*coze.Chat, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	r := &a.rec.Result
	if r.ChatID == "" && !a.rec.AskedAt.IsZero() {
		if _, err := a.find(ctx); err != nil {
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
	// The reply to cancel can say anything; what holds is what retrieve says.
	chat, err := a.coze.RetrieveChat(ctx, r.ConversationID, r.ChatID)
	ended := false
	if err == nil {
		a.keepUsage(chat)
		ended = cancelErr == nil || chat.Status.Terminal()
	}
	if ended && chat.Status == coze.StatusCompleted {
		err := a.readMessages(ctx, chat)
		if err == nil {
			return chat, nil
		}
		ended = errors.Is(err, errEmpty)
	}
	if errors.Is(why, errDeadline) {
		if !ended {
			return nil, why // it may have its answer yet: the next attempt looks it up
		}
	}
	if r.ChatID != "" {
		a.over(r.ChatID)
	}
	if errors.Is(why, errDeadline) {
		a.forgetConversation(ctx)
	}
	a.rec.AskedAt = time.Time{}
	return nil, why
}
