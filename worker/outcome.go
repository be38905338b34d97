package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// outcome is a verdict as asynq understands it: an error whose text stands in
// asynqmon, that says when to come back and whether a retry is used up.
type outcome struct {
	Verdict
	text string // in the place of the error's; "" = that one
}

func (o *outcome) Error() string { return cmp.Or(o.text, o.Err.Error()) }

// Unwrap gives the cause; Is makes a failed task archived: asynq asks
// errors.Is(err, asynq.SkipRetry), and wrapping that would spoil the text.
func (o *outcome) Unwrap() error { return o.Err }

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

// toAsynq is Verdict.toAsynq for an attempt's end. asynq keeps the text, and the record
// has it encrypted: where it is, asynq is told the class and the code.
func (a *attempt) toAsynq(v Verdict) error {
	err := v.toAsynq()
	if o, ok := err.(*outcome); ok && v.Class != "" && a.results.Keys != nil {
		o.text = string(v.Class)
		if e, ok := errors.AsType[*coze.Error](v.Err); ok && e.Code != 0 {
			o.text = fmt.Sprintf("%d (%s)", e.Code, v.Class)
		}
		o.text += results.SaysMore
	}
	return err
}

// tellable is Coze's words where they may stand in Redis for all to read. They may quote
// the question.
func tellable(message string, keys *results.Keys) string {
	if keys == nil || message == "" {
		return message
	}
	return "what Coze said is encrypted in this Redis: the records of the tasks that wait have it, and the workers' log"
}

// isFailure tells asynq whether an error uses up a retry. What is not an outcome
// is asynq's own: a lease that expired, a context that it canceled. Neither is
// the task's fault; only a deadline that has passed does not get better.
func isFailure(err error) bool {
	o, ok := errors.AsType[*outcome](err)
	return ok && (o.Action == Retry || o.Action == Fail) || missedDeadline(err)
}

// retryDelay tells asynq when to come back.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	o, ok := errors.AsType[*outcome](err)
	if !ok {
		return wholeSeconds(time.Now(), redisWait)
	}
	return wholeSeconds(time.Now(), o.After)
}

// wholeSeconds lengthens d so that now+d is the beginning of a second: asynq
// cuts the time to come back to whole seconds, so a second would otherwise last
// anything from nothing to one.
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

// hint says what a person can do about an error, "" where nothing is known.
func hint(err error) string {
	if e, ok := errors.AsType[*coze.Error](err); ok {
		return e.Hint()
	}
	if e, ok := errors.AsType[*results.KeyError](err); ok {
		return "look into what wrote to " + e.Key + " in Redis, delete it (redis-cli DEL), and ask the question again"
	}
	return ""
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
