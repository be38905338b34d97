package telemetry

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/results"
)

// A task's spans stand in one trace, however many attempts and workers it takes:
//
//	the producer's span            by the payload's traceparent
//	├─ queued QUEUE                from enqueueing to the first attempt
//	├─ process QUEUE               an attempt
//	│  ├─ coze conversation/create
//	│  ├─ permit                   the wait for the rate limit
//	│  ├─ invoke_agent             POST /v3/chat and its stream
//	│  ├─ tool NAME                one call of a client-side tool
//	│  ├─ find, look up            the search for a question or a chat
//	│  └─ publish, or put back     the record, the message, the next turn
//	└─ process QUEUE               the next attempt
//
// Without a traceparent the first span is the root, and is noted in the record when the question is sent or the task put
// back. A worker that dies before that has exported nothing of its attempt either.

// Tracing makes spans. A nil Tracing makes none: its methods, and those of what they return, do nothing and allocate nothing.
type Tracing struct{ tracer trace.Tracer }

// NewTracing returns nil for a nil provider.
func NewTracing(p trace.TracerProvider) *Tracing {
	if p == nil {
		return nil
	}
	return &Tracing{p.Tracer("github.com/cozeq/cozeq/worker", trace.WithSchemaURL(semconv.SchemaURL))}
}

// Begin makes the span of an attempt at a task. The first attempt at it also gets the span of the time before. parent is the
// traceparent of the task's payload; without one, that of the task's own trace is noted in its record.
func (t *Tracing) Begin(r *results.Result, parent string, began time.Time, first bool) *Spans {
	if t == nil {
		return nil
	}
	above := taskParent(parent, r)
	s := &Spans{tracer: t.tracer, ctx: trace.ContextWithSpanContext(context.Background(), above)}
	if first {
		ctx, queued := s.tracer.Start(s.ctx, "queued "+r.Queue, trace.WithTimestamp(earlier(r.CreatedAt.Time, began)),
			trace.WithAttributes(semconv.MessagingSystemKey.String("asynq"), semconv.MessagingDestinationName(r.Queue), semconv.MessagingMessageID(r.ID)))
		queued.End(trace.WithTimestamp(began))
		if !above.IsValid() {
			s.ctx = ctx
		}
	}
	root := s.ctx
	s.ctx, s.span = s.tracer.Start(s.ctx, "process "+r.Queue, trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			semconv.MessagingSystemKey.String("asynq"),
			semconv.MessagingOperationName("process"),
			semconv.MessagingOperationTypeProcess,
			semconv.MessagingDestinationName(r.Queue),
			semconv.MessagingMessageID(r.ID),
			attribute.Int("cozeq.attempt", r.Attempts+1),
		))
	if r.BatchID != "" {
		s.span.SetAttributes(attribute.String("cozeq.batch.id", r.BatchID))
	}
	if !above.IsValid() {
		if !trace.SpanContextFromContext(root).IsValid() {
			root = s.ctx // not its first attempt, and no trace is noted
		}
		r.TraceParent = traceParent(root)
	}
	return s
}

// taskParent is the span that those of the task stand under: its producer's, else
// the one that an earlier attempt has noted.
func taskParent(payload string, r *results.Result) trace.SpanContext {
	if parent := spanContext(payload); parent.IsValid() {
		return parent
	}
	return spanContext(r.TraceParent)
}

// spanContext reads a traceparent. The result is not valid if it is not well formed.
func spanContext(traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	return trace.SpanContextFromContext(ctx)
}

func traceParent(ctx context.Context) string {
	header := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, header)
	return header.Get("traceparent")
}

// TraceID is the trace that an attempt belongs to, traced here or not; "" if none. It takes what Begin does.
func (s *Spans) TraceID(r *results.Result, parent string) string {
	if s != nil {
		return s.span.SpanContext().TraceID().String()
	}
	if above := taskParent(parent, r); above.IsValid() {
		return above.TraceID().String()
	}
	return ""
}

// earlier is t, but not later than limit: t may be of another machine's clock.
func earlier(t, limit time.Time) time.Time {
	if t.After(limit) {
		return limit
	}
	return t
}

func address(c *coze.Client) []attribute.KeyValue {
	base := c.BaseURL
	if base == "" {
		base = coze.DefaultBaseURL
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil
	}
	port := 443
	if u.Scheme == "http" {
		port = 80
	}
	if _, given, err := net.SplitHostPort(u.Host); err == nil {
		if n, err := strconv.Atoi(given); err == nil {
			port = n
		}
	}
	return []attribute.KeyValue{semconv.ServerAddress(u.Hostname()), semconv.ServerPort(port)}
}
