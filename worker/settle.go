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

// settlement writes what follows from an attempt, and hands the task on.
type settlement struct {
	*task
	*stores
	pieces *pieces
	life   context.Context // ends when writes are given up
}

// settle judges an attempt, writes what follows from it, and returns what asynq is told.
func (s *settlement) settle(ctx context.Context, chat *coze.Chat, err error) (Verdict, error) {
	r := &s.rec.Result
	s.damaged(err)
	paused := s.calls.limitOrPause(ctx, err)
	s.calls.endProbedPause(ctx, err)
	h := history{attempts: r.Attempts, budget: budget(ctx), waits: s.rec.Waits, codes: s.calls.codes, paused: paused}
	if !s.rec.WaitingSince.IsZero() {
		h.waiting = time.Since(s.rec.WaitingSince)
	}
	v := judge(err, h)
	if err == nil && s.calls.credential != "" {
		s.calls.answeredOnce(ctx)
	} else if e := s.calls.failedAlike(ctx, v); e != nil {
		s.calls.beginPause(ctx, s.payload.Asked(), e)
	}
	if v.comesBack() && archives(ctx) {
		v = Verdict{Action: Fail, Class: cmp.Or(v.Class, coze.ClassTransient), Err: fmt.Errorf("%w (and asynq may not bring the task back: enqueue it with a MaxRetry of 2 or more)", err)}
	}
	if v.asked() {
		r.Attempts++
	}
	v = s.write(ctx, chat, v)
	if v.Action == Drop {
		s.disown(ctx)
	}
	s.report(v)
	if v.Action == Fail && s.ofBatch() && !s.blocks() {
		return v, nil // asynq's archive has room for 10,000, and the batch has it all
	}
	return v, s.toAsynq(v)
}

// write stores a verdict. If it cannot be stored, another verdict follows.
func (s *settlement) write(ctx context.Context, chat *coze.Chat, v Verdict) Verdict {
	switch v.Action {
	case Drop:
		return v
	case Retry, Later:
		defer s.spans.Step("put back").End(nil)
		return s.putBack(ctx, v)
	}
	span := s.spans.Step("publish")
	err := s.end(ctx, chat, v)
	span.End(err)
	if err != nil {
		return judge(err, history{})
	}
	return v
}

// end writes the end of the task, and hands on. After an error the record may have ended: asynq brings the task back, and
// replay hands it on.
func (s *settlement) end(ctx context.Context, chat *coze.Chat, v Verdict) error {
	r := &s.rec.Result
	switch v.Action {
	case Done:
		s.fill(chat)
	case Cancel:
		r.Status = results.Canceled
	case Expire:
		r.Status = results.Expired
	default:
		r.Status = results.Failed
		if !s.untouched() {
			r.PossibleDuplicate = true // this chat may have its answer yet, so another ask would be the second
		}
	}
	ctx, done := s.untilGivenUp(ctx)
	defer done()
	if v.Action != Done {
		r.Error = failure(v)
		r.Error.LogID = cmp.Or(r.Error.LogID, s.rec.LogID)
		s.recallChat()
	} else if s.pieces.deltas != nil {
		if err := s.persist(ctx, s.pieces.deltas.finish); err != nil && !s.damaged(err) {
			return err
		}
	}
	err := s.persist(ctx, func(ctx context.Context) error {
		return s.rec.Finish(ctx, s.payload != nil && s.payload.Stream, s.shown(ctx, v)...)
	})
	if err != nil {
		s.damaged(err)
		return err
	}
	if r.Lane == "" && !s.ofBatch() {
		return nil
	}
	return s.persist(ctx, func(ctx context.Context) error { return s.handOn(ctx, r, s.blocks()) })
}

// recallChat names the last chat and its conversation in the record of a task that ends without an answer. Both are of one
// ask, even if a later ask failed before it had a chat.
func (s *settlement) recallChat() {
	r := &s.rec.Result
	if r.ChatID == "" && s.rec.EndedChat != "" {
		r.ChatID, r.ConversationID = s.rec.EndedChat, cmp.Or(s.rec.EndedConversation, r.ConversationID)
	}
	r.ConversationID = cmp.Or(r.ConversationID, s.rec.EndedConversation)
	if s.payload != nil && s.payload.IsWorkflow() {
		r.ExecuteID = r.ChatID
	}
}

// putBack writes a wait or a retry. If it cannot be written, the record still says running, with all that was noted, and the
// next attempt continues from there.
func (s *settlement) putBack(ctx context.Context, v Verdict) Verdict {
	var why *results.Failure
	switch {
	case v.Action == Retry:
		s.rec.Waits, s.rec.WaitingSince = 0, time.Time{}
		why = failure(v)
	case v.Class != "":
		switch {
		case v.Class != coze.ClassBusy:
			s.rec.WaitingSince = time.Time{}
		case s.rec.WaitingSince.IsZero():
			s.rec.WaitingSince = time.Now()
		}
		s.rec.Waits++
		why = failure(v)
	}
	if s.rec.Result.ChatID == "" {
		r := &s.rec.Result // the chat that Usage is of has ended without an answer; another one will be asked for
		r.Spent, r.Usage = r.Billed(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	err := s.rec.Wait(ctx, why, along(ctx, s.rec.Result, results.Waiting)...)
	if errors.Is(err, record.ErrFenced) {
		s.disown(ctx)
	} else if err != nil {
		s.log.Warn("could not note that the task waits", "err", err)
	} else if v.Parked != "" {
		_ = record.Announce(ctx, s.results.Redis(), s.id) // it waits for somebody to act: whoever waits for it is told at once
	} else {
		s.pieces.tellStatus(ctx, s.results.Redis())
	}
	if v.Parked != "" {
		v.After = pause.ProbeFirst // without a credential there is no pause to wait for
		if s.calls.credential != "" {
			after, err := s.calls.awaitPauseEnd(ctx, v.Parked, s.rec.Result.Queue, s.id)
			if err == nil {
				v.After = after
			} else {
				s.log.Warn("could not park the task, it will come back by itself", "err", err)
			}
		}
	}
	if s.rec.CancelRequested && !errors.Is(v.Err, errShutdown) {
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
func (s *settlement) untilGivenUp(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// persist repeats a write until it is done, refused, or hopeless: the answer is paid for, and a Redis that restarts is back
// within a minute.
func (s *settlement) persist(ctx context.Context, write func(context.Context) error) error {
	return persistWaits.Retry(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, writeWait)
		defer cancel()
		return write(once)
	}, func(err error, _ time.Duration) bool {
		if _, damaged := errors.AsType[*results.KeyError](err); damaged || errors.Is(err, record.ErrFenced) {
			return false
		}
		s.log.Warn("could not store how the task ended, will try again", "err", err)
		return true
	})
}

// handOn notes an ended task in its batch and gives its turn to the next one, unless it blocks its conversation. It comes
// after the record has ended and before asynq hears of it, and can be repeated. The next turn learns which chat was this
// one's: it may have to tell its own question from one of the same words. A damaged batch or lane is damaged for all its
// tasks alike, and does not hold this one up.
func (s *settlement) handOn(ctx context.Context, r *results.Result, blocks bool) error {
	if err := s.tally.MarkResult(ctx, r); err != nil && !s.damaged(err) {
		return err
	}
	if r.Lane == "" || blocks {
		return nil
	}
	err := s.lanes.LeaveAfter(ctx, placeOf(r), r.ChatID)
	if s.damaged(err) {
		return nil
	}
	return err
}

// disown is for an attempt that has lost its task while it had a chat of its own. The new owner may not know that chat and
// have asked again. Then this chat is one too many, and is canceled at Coze.
func (s *settlement) disown(ctx context.Context) {
	own := s.hold.chat.Load()
	if own == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	given, wanted := *own, false
	given.Runs = false
	writing, done := s.untilGivenUp(ctx)
	err := s.persist(writing, func(ctx context.Context) (err error) {
		wanted, err = s.records.GiveOver(ctx, given)
		return err
	})
	done()
	switch {
	case err != nil:
		s.log.Warn("could not find out whether the task's new owner wants this chat", "chat", own.ChatID, "err", err)
	case !wanted && s.payload.IsWorkflow():
		s.log.Warn("another worker has run this workflow again: Coze cannot cancel this run", "chat", own.ChatID)
	case !wanted:
		s.log.Warn("another worker has asked this question again: this chat is canceled", "chat", own.ChatID, "conversation", own.ConversationID)
		if _, err := s.coze.CancelChat(ctx, own.ConversationID, own.ChatID); err != nil {
			s.log.Warn("could not cancel the chat", "chat", own.ChatID, "err", err)
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
