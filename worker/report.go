package worker

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/seal"
	"github.com/cozeq/cozeq/internal/telemetry"
)

// report logs, counts and traces how the attempt ended.
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
	// No warnings: how a task ends is not the worker's trouble.
	switch v.Action {
	case Fail:
		a.log.Info("task failed", attrs...)
	case Retry:
		a.log.Info("task will be asked again", attrs...)
	case Later:
		a.log.Info("task waits", attrs...)
	case Drop:
		a.log.Info("task dropped: another attempt has it", attrs...)
	default:
		a.log.Debug("task ended", attrs...)
	}
}

// shown returns the command that writes what asynqmon shows as an answered task's result, as asynq's own ResultWriter would.
// It goes out in the round trip that ends the record.
func (a *attempt) shown(ctx context.Context, v Verdict) []func(redis.Cmdable) {
	if v.Action != Done || a.cfg.HideResult || a.ofBatch() {
		return nil
	}
	key := asynqx.Key(a.rec.Result.Queue, "t:"+a.id)
	return []func(redis.Cmdable){func(p redis.Cmdable) {
		p.HSet(ctx, key, "result", a.results.Keys.Seal(a.id, seal.Summary, a.summary()))
	}}
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
