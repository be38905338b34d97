package worker

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/results"
)

// outcome is a verdict in asynq's words: an error whose text asynqmon shows, and from which isFailure and retryDelay learn
// when the task comes back and whether a retry is used up.
type outcome struct {
	Verdict
	text string // in place of the error's; "": the error's
}

func (o *outcome) Error() string { return cmp.Or(o.text, o.Err.Error()) }

// Unwrap gives the cause.
func (o *outcome) Unwrap() error { return o.Err }

// Is makes asynq archive a failed task: it asks errors.Is(err, asynq.SkipRetry). Wrapping that error would change the text.
func (o *outcome) Is(target error) bool {
	return target == asynq.SkipRetry && o.Action == Fail
}

// toAsynq returns what the handler gives back to asynq.
func (v Verdict) toAsynq() error {
	switch v.Action {
	case Done, Cancel, Expire:
		return nil
	}
	return &outcome{Verdict: v}
}

// toAsynq is Verdict.toAsynq for an attempt's end. asynq keeps a failure as results.ParseFailure reads it, for longer than
// the record is kept. It keeps the text in the clear: if the record has it encrypted, asynq gets only the class and the code.
func (s *settlement) toAsynq(v Verdict) error {
	err := v.toAsynq()
	if o, ok := err.(*outcome); ok && v.Class != "" && (v.Action == Fail || s.results.Keys != nil) {
		f := *failure(v)
		if s.results.Keys != nil {
			f.Message = seal.SaysMore
		}
		o.text = f.Error()
	}
	return err
}

// tellable is Coze's message as far as it may stand in Redis in the clear: it may quote the question.
func tellable(message string, keys *results.Keys) string {
	if keys == nil || message == "" {
		return message
	}
	return "what Coze said is encrypted in this Redis: the records of the tasks that wait have it, and the workers' log"
}

// isFailure reports to asynq whether an error uses up a retry. An error that is no outcome is asynq's own: a lease that
// expired, a context that it canceled. Neither is the task's fault. Only a deadline that has passed is final.
func isFailure(err error) bool {
	o, ok := errors.AsType[*outcome](err)
	return ok && (o.Action == Retry || o.Action == Fail) || missedDeadline(err)
}

// retryDelay returns to asynq when the task comes back.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if o, ok := errors.AsType[*outcome](err); ok {
		return wholeSeconds(time.Now(), o.After)
	}
	return wholeSeconds(time.Now(), redisWait)
}

// wholeSeconds lengthens d so that now+d is the beginning of a second. asynq cuts the moment to whole seconds, so a wait of a
// second would otherwise last anything from nothing to a second.
func wholeSeconds(now time.Time, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	at := now.Add(d)
	if whole := at.Truncate(time.Second); whole.Before(at) {
		at = whole.Add(time.Second)
	}
	return at.Sub(now)
}

// budget is how many asks the task has: one less than asynq's retries, see tasks.Client.
func budget(ctx context.Context) int {
	n, _ := asynq.GetMaxRetry(ctx)
	return max(1, n-1)
}

// archives reports whether asynq archives the task at its next error, whatever the error: its producer was not tasks.Client
// and allowed no retries. Its record must end with it.
func archives(ctx context.Context) bool {
	most, ok := asynq.GetMaxRetry(ctx)
	done, _ := asynq.GetRetryCount(ctx)
	return ok && done >= most
}

// hint says what a person can do about an error, "" if nothing is known.
func hint(err error) string {
	if e, ok := errors.AsType[*coze.Error](err); ok {
		return e.Hint()
	}
	if e, ok := errors.AsType[*results.KeyError](err); ok {
		return "look into what wrote to " + e.Key + " in Redis, delete it (redis-cli DEL), and ask the question again"
	}
	return ""
}

// report logs, counts and traces how the attempt ended.
func (s *settlement) report(v Verdict) {
	took := time.Since(s.calls.began)
	r := &s.rec.Result
	switch v.Action {
	case Retry, Later, Drop:
		s.cfg.Metrics.PutBack(v.Action.String(), string(v.Class))
	default:
		s.cfg.Metrics.End(r, string(v.Class), took)
	}
	s.spans.End(r, telemetry.Outcome{
		Verdict: v.Action.String(), Class: string(v.Class), Credential: s.calls.credential, After: v.After,
		Failed: v.Action == Retry || v.Action == Fail, Err: v.Err,
	})
	if s.cfg.OnVerdict != nil && v.Action != Done {
		s.cfg.OnVerdict(s.id, v)
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
	// No warnings: how a task ends is not the worker's trouble.
	switch v.Action {
	case Fail:
		s.log.Info("task failed", attrs...)
	case Retry:
		s.log.Info("task will be asked again", attrs...)
	case Later:
		s.log.Info("task waits", attrs...)
	case Drop:
		s.log.Info("task dropped: another attempt has it", attrs...)
	default:
		s.log.Debug("task ended", attrs...)
	}
}

// shown returns the command that writes what asynqmon shows as an answered task's result, as asynq's own ResultWriter would.
// It goes out in the round trip that ends the record.
func (s *settlement) shown(ctx context.Context, v Verdict) []func(redis.Cmdable) {
	if v.Action != Done || s.cfg.HideResult || s.ofBatch() {
		return nil
	}
	key := asynqx.Key(s.rec.Result.Queue, "t:"+s.id)
	return []func(redis.Cmdable){func(p redis.Cmdable) {
		p.HSet(ctx, key, "result", s.results.Keys.Seal(s.id, seal.Summary, s.summary()))
	}}
}

// summaryRunes is how much of the answer asynqmon shows.
const summaryRunes = 200

func (s *settlement) summary() string {
	r := &s.rec.Result
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
