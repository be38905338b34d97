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
func (s *settlement) report(v Verdict) {
	took := time.Since(s.began)
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
