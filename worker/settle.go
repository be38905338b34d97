package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/backoff"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// settle judges an attempt, writes what follows from it, and tells asynq.
func (a *attempt) settle(ctx context.Context, chat *coze.Chat, err error) (Verdict, error) {
	r := &a.rec.Result
	a.damaged(err)
	paused := a.calls.heed(ctx, err)
	a.calls.probed(ctx, err)
	v := judge(err, history{
		attempts: r.Attempts,
		budget:   budget(ctx),
		waits:    a.rec.Waits,
		waiting:  a.waiting(),
		codes:    a.calls.codes,
		paused:   paused,
	})
	if err == nil && a.calls.credential != "" {
		a.calls.answeredOnce(ctx)
	} else if e := a.calls.failedAlike(ctx, v); e != nil {
		a.calls.beginPause(ctx, a.chat.BotID, e)
	}
	if v.comesBack() && archives(ctx) {
		v = Verdict{Action: Fail, Class: cmp.Or(v.Class, coze.ClassTransient), Err: fmt.Errorf("%w (and asynq may not bring the task back: enqueue it with a MaxRetry of 2 or more)", err)}
	}
	if v.asked() {
		r.Attempts++
	}
	writing, wanted := a.writing(v), v
	v = a.write(ctx, chat, v)
	if v.Action == Drop {
		a.disown(ctx)
	}
	if v.Action != wanted.Action {
		writing.End(v.Err) // it could not be stored
	} else {
		writing.End(nil)
	}
	a.report(v)
	if v.Action == Fail && a.ofBatch() && !a.blocks() {
		return v, nil // asynq's archive has room for 10,000, and the batch has it all
	}
	return v, a.toAsynq(v)
}

// writing begins the span of what a verdict has to write.
func (a *attempt) writing(v Verdict) *telemetry.Span {
	switch v.Action {
	case Drop:
		return nil
	case Retry, Later:
		return a.spans.Step("put aside")
	}
	return a.spans.Step("publish")
}

// budget is how many asks the task has: one less than what asynq was told, see
// tasks.Client.
func budget(ctx context.Context) int {
	n, _ := asynq.GetMaxRetry(ctx)
	return max(1, n-1)
}

// archives reports whether asynq archives the task at its next error, whatever the
// error says: its producer was not ours and allowed no retries. Its record must end
// with it.
func archives(ctx context.Context) bool {
	most, ok := asynq.GetMaxRetry(ctx)
	done, _ := asynq.GetRetryCount(ctx)
	return ok && done >= most
}

func (a *attempt) waiting() time.Duration {
	if a.rec.WaitingSince.IsZero() {
		return 0
	}
	return time.Since(a.rec.WaitingSince)
}

// write stores a verdict. What cannot be stored becomes another verdict.
func (a *attempt) write(ctx context.Context, chat *coze.Chat, v Verdict) Verdict {
	switch v.Action {
	case Drop:
		return v
	case Retry, Later:
		v = a.putAside(ctx, v)
		if a.rec.CancelRequested && !errors.Is(v.Err, errShutdown) {
			v.After = 0 // the next attempt ends it: now, not when the wait is over
		}
		return v
	}
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
		if r.ChatID != "" || !a.rec.AskedAt.IsZero() {
			r.PossibleDuplicate = true // asked again it would be: this chat may have its answer yet
		}
	}
	if v.Action != Done {
		r.Error = failure(v)
		r.Error.LogID = cmp.Or(r.Error.LogID, a.rec.LogID)
		a.recallChat()
	}
	finish := func(ctx context.Context) error {
		return a.rec.Finish(ctx, a.chat != nil && a.chat.Stream, a.shown(ctx, v)...)
	}
	if err := a.persist(ctx, finish); err != nil {
		a.damaged(err)
		return judge(err, history{})
	}
	if err := a.persist(ctx, a.markEnd); err != nil && !a.damaged(err) {
		return judge(err, history{})
	}
	if a.blocks() {
		return v
	}
	if err := a.persist(ctx, a.leave); err != nil && !a.damaged(err) {
		// The record has ended; asynq brings the task back and replay tries again.
		return judge(err, history{})
	}
	return v
}

// recallChat makes the last chat, and its conversation, part of the record of a task that
// ends without an answer. Both are those of one ask, though a later one may have failed
// before it had a chat.
func (a *attempt) recallChat() {
	r := &a.rec.Result
	if r.ChatID == "" && a.rec.EndedChat != "" {
		r.ChatID, r.ConversationID = a.rec.EndedChat, cmp.Or(a.rec.EndedConversation, r.ConversationID)
	}
	r.ConversationID = cmp.Or(r.ConversationID, a.rec.EndedConversation)
}

// shown is what asynqmon shows as an answered task's result: what asynq's own
// ResultWriter would write, in the round trip that ends the record.
func (a *attempt) shown(ctx context.Context, v Verdict) []func(redis.Cmdable) {
	if v.Action != Done || a.cfg.HideResult || a.ofBatch() {
		return nil
	}
	key := queueKey(a.rec.Result.Queue, "t:"+a.id)
	return []func(redis.Cmdable){func(p redis.Cmdable) {
		p.HSet(ctx, key, "result", a.results.Keys.Seal(a.id, results.FieldSummary, a.summary()))
	}}
}

// fill takes the answer over into the record.
func (a *attempt) fill(chat *coze.Chat) {
	r := &a.rec.Result
	r.Status, r.Error = results.Completed, nil
	a.keepText(chat)
	a.keepUsage(chat)
	if chat.ID != "" {
		r.ChatID = chat.ID
	}
	if chat.ConversationID != "" {
		r.ConversationID = chat.ConversationID
	}
}

// keepText takes over what the bot said.
func (a *attempt) keepText(chat *coze.Chat) {
	r := &a.rec.Result
	r.Answer, r.Reasoning, r.FollowUps = a.cut("answer", chat.Answer()), a.cut("reasoning", chat.Reasoning()), chat.FollowUps()
	r.ContentType, r.Parts = "", nil
	if kind := chat.AnswerType(); kind != coze.ContentText {
		r.ContentType = string(kind)
	}
	answers := chat.Answers()
	isText := func(m coze.Message) bool { return cmp.Or(m.ContentType, coze.ContentText) == coze.ContentText }
	if len(answers) < 2 || !slices.ContainsFunc(answers, func(m coze.Message) bool { return !isText(m) }) {
		return
	}
	for _, m := range answers {
		r.Parts = append(r.Parts, results.Part{ContentType: string(cmp.Or(m.ContentType, coze.ContentText)), Content: m.Content})
	}
}

// keepPartial takes over what the bot said before its chat ended without completing, or
// before its stream did: if nothing better comes, that belongs to the record.
func (a *attempt) keepPartial(chat *coze.Chat) {
	a.keepUsage(chat) // a chat that failed is billed all the same
	if chat.HasAnswer() || chat.Reasoning() != "" {
		a.keepText(chat)
	}
}

// maxText is the most bytes of an answer, or of reasoning, that a record takes, if
// coze.Client.MaxEvent is not more: as much as one message may have, so that only what is
// joined of several is ever cut. Redis keeps it, publishes it, and may have a thousand at a time.
const maxText = 8 << 20

// cut shortens a text to maxText, and says so.
func (a *attempt) cut(what, text string) string {
	n := max(maxText, a.coze.MaxEvent)
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	a.warn(fmt.Sprintf("the %s had %d bytes, and is cut to %d", what, len(text), n))
	return text[:n]
}

// putAside writes a wait or a retry. If it cannot be written the record still says
// running, with all that was noted: the next attempt goes on from there.
func (a *attempt) putAside(ctx context.Context, v Verdict) Verdict {
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
		a.rec.Result.Spend()
	}
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	err := a.rec.Wait(ctx, why, along(ctx, a.rec.Result, results.Waiting)...)
	if errors.Is(err, results.ErrFenced) {
		a.disown(ctx)
	} else if err != nil {
		a.log.Warn("could not note that the task waits", "err", err)
	}
	if v.Aside == "" {
		return v
	}
	if a.calls.credential == "" {
		v.After = probeFirst // there was no token to ask with: nothing that a pause could be kept under
		return v
	}
	if err := a.calls.stepAside(ctx, v.Aside, a.rec.Result.Queue, a.id); err != nil {
		a.log.Warn("could not step aside, will come back by itself", "err", err)
		v.After = probeFirst
	}
	return v
}

func failure(v Verdict) *results.Failure {
	f := &results.Failure{Class: string(v.Class), Message: v.Err.Error(), Hint: hint(v.Err), Unencrypted: isPlain(v.Err)}
	if e, ok := errors.AsType[*coze.Error](v.Err); ok {
		f.Code, f.LogID = e.Code, e.LogID
		if e.Code != 0 && e.Message != "" {
			f.Message = e.Message // the rest has fields of its own
		}
	}
	return f
}

// persistWaits are those between two tries to store an end, writeWait is the longest that one may take.
var persistWaits = backoff.Policy{First: 100 * time.Millisecond, Most: 5 * time.Second, For: 15 * time.Minute}

const writeWait = 5 * time.Second

// persist repeats a write until it is done, refused, or hopeless: the answer is
// paid for, and a Redis that restarts is back within a minute. A worker that shuts
// down does not wait for that: what was noted of the chat is enough to find it.
func (a *attempt) persist(ctx context.Context, write func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.life, cancel)()
	return persistWaits.Retry(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, writeWait)
		defer cancel()
		return write(once)
	}, func(err error, _ time.Duration) bool {
		if _, damaged := errors.AsType[*results.KeyError](err); damaged || errors.Is(err, results.ErrFenced) {
			return false
		}
		a.log.Warn("could not store how the task ended, will try again", "err", err)
		return true
	})
}

// damaged reports whether a key of the task's holds something else, which no retry mends,
// and says so. The record's end decides; what is left, the batch or the conversation, is
// damaged for all its tasks alike.
func (a *attempt) damaged(err error) bool {
	e, ok := errors.AsType[*results.KeyError](err)
	if ok && a.damagedKey != e.Key {
		a.damagedKey = e.Key
		a.log.Error("a key in Redis holds something else than it should", "key", e.Key, "err", err, "hint", hint(err))
	}
	return ok
}

// blocks reports whether the task has failed and holds its conversation up until
// somebody decides.
func (a *attempt) blocks() bool {
	return a.rec.Result.Status == results.Failed && a.chat != nil && a.chat.OnTurnFailure == tasks.TurnBlock
}

// replay handles a task that comes back although its record has ended. Either a
// worker died between the two: then the lane is left again, as that may be what is
// missing. Or somebody wants a failed task asked again ("run" in asynqmon's list of
// archived tasks): then again is true, and the record is open.
func (a *attempt) replay(ctx context.Context) (again bool, err error) {
	r := &a.rec.Result
	if again, err := a.wanted(ctx); err != nil || again {
		return again, err
	}
	if err := a.markEnd(ctx); err != nil && !a.damaged(err) {
		return false, judge(err, history{}).toAsynq()
	}
	if !a.blocks() {
		if err := a.leave(ctx); err != nil && !a.damaged(err) {
			return false, judge(err, history{}).toAsynq()
		}
	}
	if r.Status == results.Failed && r.Error != nil && !(a.ofBatch() && !a.blocks()) {
		return false, a.toAsynq(Verdict{Action: Fail, Class: coze.Class(r.Error.Class), Err: errors.New(r.Error.Message)})
	}
	return false, nil
}

// wanted tells whether a failed task was run again by hand, and opens its record if
// so. asynq notes when it archives a task: one that came back because its worker died
// was not archived since its record ended.
func (a *attempt) wanted(ctx context.Context) (bool, error) {
	r := &a.rec.Result
	if r.Status != results.Failed || r.CompletedAt.IsZero() || a.ofBatch() && !a.blocks() {
		return false, nil
	}
	info, err := a.inspector.GetTaskInfo(r.Queue, a.id)
	if err != nil {
		return false, judge(err, history{}).toAsynq()
	}
	if info.LastFailedAt.Before(r.CompletedAt.Truncate(time.Second)) {
		return false, nil
	}
	if err := a.tally.Reopen(ctx, r); err != nil { // before the record: a death between the two brings the task back
		return false, judge(err, history{}).toAsynq()
	}
	if err := a.results.Reopen(ctx, a.id); err != nil {
		return false, judge(err, history{}).toAsynq()
	}
	a.log.Info("a failed task is asked again, as somebody ran it by hand")
	return true, nil
}

// summaryRunes is how much of the answer asynqmon shows.
const summaryRunes = 200

func (a *attempt) summary() string {
	r := &a.rec.Result
	text, runes := r.Answer, 0
	for i := range text {
		if runes++; runes > summaryRunes {
			text = text[:i] + "…"
			break
		}
	}
	if r.Usage == nil {
		return text
	}
	return strconv.FormatInt(r.Usage.TokenCount, 10) + " tokens: " + text
}

// report logs, counts and tells how the attempt ended.
func (a *attempt) report(v Verdict) {
	took := time.Since(a.began)
	r := &a.rec.Result
	switch v.Action {
	case Retry, Later, Drop:
		a.cfg.Metrics.PutBack(v.Action.String(), string(v.Class))
	default:
		a.cfg.Metrics.End(r, string(v.Class), took)
	}
	a.spans.End(r, telemetry.Outcome{
		Verdict: v.Action.String(), Class: string(v.Class), Credential: a.calls.credential, After: v.After,
		Failed: v.Action == Retry || v.Action == Fail, Err: v.Err,
	})
	if a.cfg.OnVerdict != nil && v.Action != Done {
		a.cfg.OnVerdict(a.id, v)
	}
	attrs := []any{"verdict", v.Action.String(), "took", took.Round(time.Millisecond), "attempts", r.Attempts}
	if r.ChatID != "" {
		attrs = append(attrs, "chat", r.ChatID)
	}
	if v.Class != "" {
		attrs = append(attrs, "class", string(v.Class))
	}
	if v.After > 0 {
		attrs = append(attrs, "after", v.After.Round(time.Millisecond))
	}
	if v.Err != nil {
		attrs = append(attrs, "err", v.Err)
	}
	// How a task ends is not the worker's trouble: nothing of it is a warning.
	switch v.Action {
	case Fail:
		a.log.Info("task failed", attrs...)
	case Retry:
		a.log.Info("task will be asked again", attrs...)
	case Later, Drop:
		a.log.Info("task put aside", attrs...)
	default:
		a.log.Debug("task ended", attrs...)
	}
}
