package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/coze"
)

// AskSpan is the span of one POST /v3/chat and its stream. A nil AskSpan records nothing.
//
// Its attributes are those of the semantic conventions for generative AI for the client of a remote agent (gen_ai.*, status
// "development", read in November 2026; the semconv package no longer has them). A bot of Coze is an agent, and Coze does
// not say which model it runs.
type AskSpan struct {
	span  trace.Span
	began time.Time
}

func (s *Spans) Ask(client *coze.Client, bot, conversation string) *AskSpan {
	if s == nil {
		return nil
	}
	began := time.Now()
	_, child := s.tracer.Start(s.ctx, "invoke_agent", trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(append(address(client),
			attribute.String("gen_ai.operation.name", "invoke_agent"),
			attribute.String("gen_ai.provider.name", "coze"),
			attribute.String("gen_ai.agent.id", bot),
			attribute.String("gen_ai.conversation.id", conversation),
			attribute.Bool("gen_ai.request.stream", true),
		)...))
	return &AskSpan{child, began}
}

func (s *AskSpan) Created(chat *coze.Chat) {
	if s == nil {
		return
	}
	s.span.AddEvent("chat created")
	optional(s.span, "gen_ai.response.id", chat.ID)
	optional(s.span, "gen_ai.conversation.id", chat.ConversationID) // it may not be the one that was asked in
}

// End ends it. The stream is nil if the question was refused, the chat if none was made.
func (s *AskSpan) End(stream *coze.Stream, chat *coze.Chat, err error) {
	if s == nil {
		return
	}
	if stream != nil {
		optional(s.span, "coze.logid", stream.LogID())
		if at := stream.FirstAnswer(); !at.IsZero() {
			s.span.AddEvent("first token", trace.WithTimestamp(at))
			s.span.SetAttributes(attribute.Float64("gen_ai.response.time_to_first_chunk", at.Sub(s.began).Seconds()))
		}
	}
	if chat != nil {
		optional(s.span, "coze.chat.status", string(chat.Status))
		if u := chat.Usage; u != nil {
			s.span.SetAttributes(attribute.Int64("gen_ai.usage.input_tokens", u.InputCount), attribute.Int64("gen_ai.usage.output_tokens", u.OutputCount))
		}
	}
	(&Span{s.span}).End(err)
}
