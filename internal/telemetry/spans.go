package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// Spans are those of one attempt. A nil Spans records nothing.
type Spans struct {
	tracer trace.Tracer
	span   trace.Span
	ctx    context.Context // with span: the others are its children
}

// Step begins a span of something that the attempt does itself.
func (s *Spans) Step(name string) *Span {
	if s == nil {
		return nil
	}
	_, child := s.tracer.Start(s.ctx, name)
	return &Span{child}
}

// Call begins a span of a call to Coze, or of several that belong together.
func (s *Spans) Call(op string, client *coze.Client) *Span {
	if s == nil {
		return nil
	}
	_, child := s.tracer.Start(s.ctx, op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(address(client)...))
	return &Span{child}
}

// Permit is the span of a wait for the rate limit: given, far, paused or error.
func (s *Spans) Permit(began time.Time, given string, err error) {
	if s == nil {
		return
	}
	_, child := s.tracer.Start(s.ctx, "permit", trace.WithTimestamp(began))
	child.SetAttributes(attribute.String("cozeq.permit", given))
	if given == "error" {
		fail(child, err)
	}
	child.End()
}

// Outcome is how an attempt ended.
type Outcome struct {
	Verdict, Class string
	Credential     string
	After          time.Duration
	Failed         bool // an ask has failed
	Err            error
}

func (s *Spans) End(r *results.Result, o Outcome) {
	if s == nil {
		return
	}
	s.span.SetAttributes(attribute.String("cozeq.verdict", o.Verdict))
	optional(s.span, "gen_ai.agent.id", r.BotID)
	optional(s.span, "gen_ai.conversation.id", r.ConversationID)
	optional(s.span, "gen_ai.response.id", r.ChatID)
	optional(s.span, "cozeq.credential", o.Credential)
	if u := r.Usage; u != nil {
		s.span.SetAttributes(attribute.Int64("cozeq.usage.input_tokens", u.InputCount), attribute.Int64("cozeq.usage.output_tokens", u.OutputCount))
	}
	if o.After > 0 {
		s.span.SetAttributes(attribute.Float64("cozeq.after", o.After.Seconds()))
	}
	if o.Failed {
		fail(s.span, o.Err)
		optional(s.span, string(semconv.ErrorTypeKey), o.Class)
	} else {
		optional(s.span, "cozeq.class", o.Class)
	}
	s.span.End()
}

// Span is one thing that an attempt does. A nil Span records nothing.
type Span struct{ span trace.Span }

// Done is End for defer: the error is read when it runs.
func (s *Span) Done(err *error) {
	if s != nil {
		s.End(*err)
	}
}

// End ends it; a nil error is a success.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err != nil {
		fail(s.span, err)
	}
	s.span.End()
}

// fail notes an error. error.type is the class, as in metrics and results.
func fail(s trace.Span, err error) {
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

func optional(s trace.Span, name, value string) {
	if value != "" {
		s.SetAttributes(attribute.String(name, value))
	}
}
