package worker

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/coze"
)

// askSpan is the span of one POST /v3/chat and its stream. Nil: it is not traced.
//
// Its attributes are those that the semantic conventions for generative AI give the
// client of a remote agent (gen_ai.*, status "development", read in November 2026; they
// are no part of the semconv package any more). A bot of Coze is an agent, and which
// model it runs is not told.
type askSpan struct {
	span
	began time.Time
}

// ask begins it, as the question is sent.
func (s *spans) ask(conversation string) *askSpan {
	if s == nil {
		return nil
	}
	began := time.Now()
	_, child := s.tracer.Start(s.ctx, "invoke_agent", trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(append(address(s.attempt.coze),
			attribute.String("gen_ai.operation.name", "invoke_agent"),
			attribute.String("gen_ai.provider.name", "coze"),
			attribute.String("gen_ai.agent.id", s.attempt.chat.BotID),
			attribute.String("gen_ai.conversation.id", conversation),
			attribute.Bool("gen_ai.request.stream", true),
		)...))
	return &askSpan{span{child}, began}
}

// created notes the moment at which Coze told of the chat.
func (s *askSpan) created(chat *coze.Chat) {
	if s == nil {
		return
	}
	s.AddEvent("chat created")
	optional(s, "gen_ai.response.id", chat.ID)
	optional(s, "gen_ai.conversation.id", chat.ConversationID) // it may not be the one that was asked in
}

// end ends it. The stream is nil where the question was refused, the chat where there
// is none.
func (s *askSpan) end(stream *coze.Stream, chat *coze.Chat, err error) {
	if s == nil {
		return
	}
	if stream != nil {
		optional(s, "coze.logid", stream.LogID())
		if at := stream.FirstAnswer(); !at.IsZero() {
			s.AddEvent("first token", trace.WithTimestamp(at))
			s.SetAttributes(attribute.Float64("gen_ai.response.time_to_first_chunk", at.Sub(s.began).Seconds()))
		}
	}
	if chat != nil {
		s.billed(chat)
	}
	s.span.end(err)
}

func (s *askSpan) billed(chat *coze.Chat) {
	optional(s, "coze.chat.status", string(chat.Status))
	if u := chat.Usage; u != nil {
		s.SetAttributes(attribute.Int64("gen_ai.usage.input_tokens", u.InputCount), attribute.Int64("gen_ai.usage.output_tokens", u.OutputCount))
	}
}
