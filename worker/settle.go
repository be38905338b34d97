package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
)

// settle judges an attempt, writes what follows from it, and returns what asynq is told.
func (a *attempt) settle(ctx context.Context, chat *coze.Chat, err error) (Verdict, error) {
	r := &a.rec.Result
	a.damaged(err)
	paused := a.calls.limitOrPause(ctx, err)
	a.calls.endProbedPause(ctx, err)
	h := history{attempts: r.Attempts, budget: budget(ctx), waits: a.rec.Waits, codes: a.calls.codes, paused: paused}
	if !a.rec.WaitingSince.IsZero() {
		h.waiting = time.Since(a.rec.WaitingSince)
	}
	v := judge(err, h)
	if err == nil && a.calls.credential != "" {
		a.calls.answeredOnce(ctx)
	} else if e := a.calls.failedAlike(ctx, v); e != nil {
		a.calls.beginPause(ctx, a.chat.Asked(), e)
	}
	if v.comesBack() && archives(ctx) {
		v = Verdict{Action: Fail, Class: cmp.Or(v.Class, coze.ClassTransient), Err: fmt.Errorf("%w (and asynq may not bring the task back: enqueue it with a MaxRetry of 2 or more)", err)}
	}
	if v.asked() {
		r.Attempts++
	}
	v = a.write(ctx, chat, v)
	if v.Action == Drop {
		a.disown(ctx)
	}
	a.report(v)
	if v.Action == Fail && a.ofBatch() && !a.blocks() {
		return v, nil // asynq's archive has room for 10,000, and the batch has it all
	}
	return v, a.toAsynq(v)
}

// write stores a verdict. If it cannot be stored, another verdict follows.
func (a *attempt) write(ctx context.Context, chat *coze.Chat, v Verdict) Verdict {
	switch v.Action {
	case Drop:
		return v
	case Retry, Later:
		span := a.spans.Step("put back")
		v = a.putBack(ctx, v)
		span.End(nil)
		return v
	}
	span := a.spans.Step("publish")
	if err := a.end(ctx, chat, v); err != nil {
		v = judge(err, history{})
		span.End(err)
	} else {
		span.End(nil)
	}
	return v
}

// end writes the end of the task, and hands on. After an error the record may have ended: asynq brings the task back, and
// replay hands it on.
func (a *attempt) end(ctx context.Context, chat *coze.Chat, v Verdict) error {
	r := &a.rec.Result
	switch v.Action {
	case Done:
		a.fill(chat)
	case Cancel:
		r.Status = results.Canceled
	case Expire:
		r.Status = results.Expired
	default:
		r.Status = results.Failed
		if !a.untouched() {
			r.PossibleDuplicate = true // this chat may have its answer yet, so another ask would be the second
		}
	}
	if v.Action != Done {
		r.Error = failure(v)
		r.Error.LogID = cmp.Or(r.Error.LogID, a.rec.LogID)
		a.recallChat()
	}
	ctx, done := a.untilGivenUp(ctx)
	defer done()
	if v.Action == Done && a.deltas != nil {
		if err := a.persist(ctx, a.deltas.finish); err != nil && !a.damaged(err) {
			return err
		}
	}
	err := a.persist(ctx, func(ctx context.Context) error {
		return a.rec.Finish(ctx, a.chat != nil && a.chat.Stream, a.shown(ctx, v)...)
	})
	if err != nil {
		a.damaged(err)
		return err
	}
	if r.Lane == "" && !a.ofBatch() {
		return nil
	}
	return a.persist(ctx, func(ctx context.Context) error { return a.handOn(ctx, r, a.blocks()) })
}

// recallChat names the last chat and its conversation in the record of a task that ends without an answer. Both are of one
// ask, even if a later ask failed before it had a chat.
func (a *attempt) recallChat() {
	r := &a.rec.Result
	if r.ChatID == "" && a.rec.EndedChat != "" {
		r.ChatID, r.ConversationID = a.rec.EndedChat, cmp.Or(a.rec.EndedConversation, r.ConversationID)
	}
	r.ConversationID = cmp.Or(r.ConversationID, a.rec.EndedConversation)
	if a.chat != nil && a.chat.IsWorkflow() {
		r.ExecuteID = r.ChatID
	}
}

// putBack writes a wait or a retry. If it cannot be written, the record still says running, with all that was noted, and the
// next attempt continues from there.
func (a *attempt) putBack(ctx context.Context, v Verdict) Verdict {
	var why *results.Failure
	switch {
	case v.Action == Retry:
		a.rec.Waits, a.rec.WaitingSince = 0, time.Time{}
		why = failure(v)
	case v.Class != "":
		switch {
		case v.Class != coze.ClassBusy:
			a.rec.WaitingSince = time.Time{}
		case a.rec.WaitingSince.IsZero():
			a.rec.WaitingSince = time.Now()
		}
		a.rec.Waits++
		why = failure(v)
	}
	if a.rec.Result.ChatID == "" {
		r := &a.rec.Result // the chat that Usage is of has ended without an answer; another one will be asked for
		r.Spent, r.Usage = r.Billed(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	err := a.rec.Wait(ctx, why, along(ctx, a.rec.Result, results.Waiting)...)
	if errors.Is(err, record.ErrFenced) {
		a.disown(ctx)
	} else if err != nil {
		a.log.Warn("could not note that the task waits", "err", err)
	} else if v.Parked != "" {
		_ = record.Announce(ctx, a.results.Redis(), a.id) // it waits for somebody to act: whoever waits for it is told at once
	} else {
		a.announce(ctx, a.results.Redis())
	}
	if v.Parked != "" {
		v.After = pause.ProbeFirst // without a credential there is no pause to wait for
		if a.calls.credential != "" {
			after, err := a.calls.awaitPauseEnd(ctx, v.Parked, a.rec.Result.Queue, a.id)
			if err == nil {
				v.After = after
			} else {
				a.log.Warn("could not park the task, it will come back by itself", "err", err)
			}
		}
	}
	if a.rec.CancelRequested && !errors.Is(v.Err, errShutdown) {
		v.After = 0 // the next attempt ends it
	}
	return v
}

func failure(v Verdict) *results.Failure {
	if refused, ok := errors.AsType[*results.Failure](v.Err); ok {
		return refused
	}
	f := &results.Failure{Class: string(v.Class), Message: v.Err.Error(), Hint: hint(v.Err), Unencrypted: isPlain(v.Err)}
	if e, ok := errors.AsType[*coze.Error](v.Err); ok {
		f.Code, f.LogID = e.Code, e.LogID
		if e.Code != 0 && e.Message != "" {
			f.Message = e.Message // the rest has fields of its own
		}
	}
	return f
}

// persistWaits are the waits between two tries to store an end, writeWait is the longest that one try may take.
var persistWaits = backoff.Policy{First: 100 * time.Millisecond, Most: 5 * time.Second, For: 15 * time.Minute}

const writeWait = 5 * time.Second

// untilGivenUp is the context for persist: a worker that shuts down does not wait for a Redis that is away, as the record
// has enough to find the chat again.
func (a *attempt) untilGivenUp(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(a.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// persist repeats a write until it is done, refused, or hopeless: the answer is paid for, and a Redis that restarts is back
// within a minute.
func (a *attempt) persist(ctx context.Context, write func(context.Context) error) error {
	return persistWaits.Retry(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, writeWait)
		defer cancel()
		return write(once)
	}, func(err error, _ time.Duration) bool {
		if _, damaged := errors.AsType[*results.KeyError](err); damaged || errors.Is(err, record.ErrFenced) {
			return false
		}
		a.log.Warn("could not store how the task ended, will try again", "err", err)
		return true
	})
}

// handOn notes an ended task in its batch and gives its turn to the next one, unless it blocks its conversation. It comes
// after the record has ended and before asynq hears of it, and can be repeated. The next turn learns which chat was this
// one's: it may have to tell its own question from one of the same words. A damaged batch or lane is damaged for all its
// tasks alike, and does not hold this one up.
func (a *attempt) handOn(ctx context.Context, r *results.Result, blocks bool) error {
	if err := a.tally.MarkResult(ctx, r); err != nil && !a.damaged(err) {
		return err
	}
	if r.Lane == "" || blocks {
		return nil
	}
	if err := a.lanes.LeaveAfter(ctx, placeOf(r), r.ChatID); err != nil && !a.damaged(err) {
		return err
	}
	return nil
}

// disown is for an attempt that has lost its task while it had a chat of its own. The new owner may not know that chat and
// have asked again. Then this chat is one too many, and is canceled at Coze.
func (a *attempt) disown(ctx context.Context) {
	own := a.hold.chat.Load()
	if own == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	given, wanted := *own, false
	given.Runs = false
	writing, done := a.untilGivenUp(ctx)
	err := a.persist(writing, func(ctx context.Context) (err error) {
		wanted, err = a.records.GiveOver(ctx, given)
		return err
	})
	done()
	switch {
	case err != nil:
		a.log.Warn("could not find out whether the task's new owner wants this chat", "chat", own.ChatID, "err", err)
	case !wanted && a.chat.IsWorkflow():
		a.log.Warn("another worker has run this workflow again: Coze cannot cancel this run", "chat", own.ChatID)
	case !wanted:
		a.log.Warn("another worker has asked this question again: this chat is canceled", "chat", own.ChatID, "conversation", own.ConversationID)
		if _, err := a.coze.CancelChat(ctx, own.ConversationID, own.ChatID); err != nil {
			a.log.Warn("could not cancel the chat", "chat", own.ChatID, "err", err)
		}
	}
}

// along returns the command that notes a state in the task's batch, if it has one, to be sent in the round trip that writes
// the state. It is for states that are no end.
func along(ctx context.Context, r results.Result, state results.Status) []func(redis.Cmdable) {
	r.Status = state
	m, ok := tally.Of(&r)
	if !ok {
		return nil
	}
	return []func(redis.Cmdable){m.Along(ctx)}
}
