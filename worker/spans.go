package worker

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/coze"
)

// spans are those of one attempt. Nil: it is not traced.
type spans struct {
	tracer  trace.Tracer
	attempt *attempt
	span    trace.Span
	ctx     context.Context // with span: the others are its children
}

// step begins a span of something that the attempt does itself.
func (s *spans) step(name string) *span {
	if s == nil {
		return nil
	}
	_, child := s.tracer.Start(s.ctx, name)
	return &span{child}
}

// call begins a span of a call of Coze, or of several that belong together.
func (s *spans) call(op string) *span {
	if s == nil {
		return nil
	}
	_, child := s.tracer.Start(s.ctx, op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(address(s.attempt.coze)...))
	return &span{child}
}

// permit is the span of a wait for the rate limit. That the permit is far away, or that
// there is a pause, is no failure.
func (s *spans) permit(began time.Time, err error) {
	if s == nil {
		return
	}
	_, child := s.tracer.Start(s.ctx, "permit", trace.WithTimestamp(began))
	given := "given"
	if _, ok := errors.AsType[*farError](err); ok {
		given = "far"
	} else if _, ok := errors.AsType[*pausedError](err); ok {
		given = "paused"
	} else if err != nil {
		(&span{child}).fail(err)
		given = "error"
	}
	child.SetAttributes(attribute.String("cozeq.permit", given))
	child.End()
}

// settling begins the span of what a verdict has to write.
func (s *spans) settling(v Verdict) *span {
	if s == nil {
		return nil
	}
	switch v.Action {
	case Drop:
		return nil
	case Retry, Later:
		return s.step("put aside")
	}
	return s.step("publish")
}

// end ends the attempt's span as the attempt ended.
func (s *spans) end(v Verdict) {
	if s == nil {
		return
	}
	r := &s.attempt.rec.Result
	s.span.SetAttributes(attribute.String("cozeq.verdict", v.Action.String()))
	optional(s.span, "gen_ai.agent.id", r.BotID)
	optional(s.span, "gen_ai.conversation.id", r.ConversationID)
	optional(s.span, "gen_ai.response.id", r.ChatID)
	optional(s.span, "cozeq.credential", s.attempt.credential)
	if u := r.Usage; u != nil {
		s.span.SetAttributes(attribute.Int64("cozeq.usage.input_tokens", u.InputCount), attribute.Int64("cozeq.usage.output_tokens", u.OutputCount))
	}
	if v.After > 0 {
		s.span.SetAttributes(attribute.Float64("cozeq.after", v.After.Seconds()))
	}
	switch v.Action {
	case Retry, Fail:
		(&span{s.span}).fail(v.Err)
		optional(s.span, string(semconv.ErrorTypeKey), string(v.Class))
	case Done:
	default:
		optional(s.span, "cozeq.class", string(v.Class))
	}
	s.span.End()
}

// span is one thing that an attempt does. Nil: it is not traced.
type span struct{ trace.Span }

// done ends it. That its error is given by where it stands is for defer.
func (s *span) done(err *error) {
	if s == nil {
		return
	}
	s.end(*err)
}

func (s *span) end(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.fail(err)
	}
	s.End()
}

// settled ends the span of a verdict's writes: what could not be stored has become
// another verdict.
func (s *span) settled(wanted, v Verdict) {
	if s == nil {
		return
	}
	if v.Action != wanted.Action {
		s.fail(v.Err)
	}
	s.End()
}

// fail notes an error. error.type is the class, as in metrics and results.
func (s *span) fail(err error) {
	kind := "_OTHER"
	if e, ok := errors.AsType[*coze.Error](err); ok {
		kind = string(e.Class)
		if e.Code != 0 {
			s.SetAttributes(attribute.Int("coze.code", e.Code))
		}
		optional(s, "coze.logid", e.LogID)
	}
	s.SetAttributes(semconv.ErrorTypeKey.String(kind))
	s.RecordError(err)
	s.SetStatus(codes.Error, err.Error())
}

// optional sets an attribute that has a value.
func optional(s trace.Span, name, value string) {
	if value != "" {
		s.SetAttributes(attribute.String(name, value))
	}
}
