package openai

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cozeq/cozeq/results"
)

// The sequence_number of an event says where in the answer it stands, so that every serve gives the same number to the same
// event without a note of what was sent: a piece of the reasoning that ends at its byte N has firstReasoning+N, and what comes
// behind adds the reasoning's length; the text goes the same way. Numbers grow, but leave some out. With starting_after a
// piece may be cut.
//
// The reasoning is the first item, if it has begun before the text, and ends where the text begins. What comes of it later is
// in the response at the end alone.
const (
	seqCreated        = 0
	seqQueued         = 1
	seqInProgress     = 2
	seqReasoningAdded = 3
	seqReasoningPart  = 4
	firstReasoning    = 4

	// Behind the reasoning, plus its length.
	seqReasoningTextDone = 5
	seqReasoningPartDone = 6
	seqReasoningDone     = 7
	seqItemAdded         = 8
	seqPartAdded         = 9
	firstText            = 9

	// Behind the text, plus the length of both.
	seqTextDone = 10
	seqPartDone = 11
	seqItemDone = 12
	seqEnd      = 13
)

type responseStream struct {
	writer
	echo  *Echo
	first results.Result // the task before its answer
	after int            // events up to this number are left out

	running bool            // response.in_progress was sent
	thought strings.Builder // the reasoning so far
	item    bool            // the message was begun
	length  int             // bytes of the reasoning and of the text so far
}

func newResponseStream(w http.ResponseWriter, r *http.Request, e *Echo, result *results.Result) *responseStream {
	s := &responseStream{writer: writer{w: w, r: r}, echo: e, after: -1}
	s.first = results.Result{ID: result.ID, Status: results.Queued, CreatedAt: result.CreatedAt, BotID: result.BotID, UserID: result.UserID}
	return s
}

func (s *responseStream) begin() error {
	if !s.start() {
		return s.err
	}
	if s.echo.Background {
		s.lifecycle(seqCreated, "response.created", &s.first)
		s.lifecycle(seqQueued, "response.queued", &s.first)
		return s.err
	}
	s.first.Status = results.Running
	s.lifecycle(seqCreated, "response.created", &s.first)
	s.progress()
	return s.err
}

func (s *responseStream) progress() {
	if s.running {
		return
	}
	s.running = true
	s.first.Status = results.Running
	s.lifecycle(seqInProgress, "response.in_progress", &s.first)
}

func (s *responseStream) lifecycle(seq int, name string, r *results.Result) {
	s.event(seq, name, Object{"response": s.echo.response(r)})
}

func (s *responseStream) event(seq int, name string, o Object) {
	if seq <= s.after {
		return
	}
	o["type"], o["sequence_number"] = name, seq
	s.encoded(o, func(raw []byte) error { return s.out.Event(strconv.Itoa(seq), name, raw) })
}

func (s *responseStream) messageIndex() int {
	if s.thought.Len() > 0 {
		return 1
	}
	return 0
}

func (s *responseStream) messagePart(seq int, name string, o Object) {
	o["item_id"], o["output_index"], o["content_index"] = messagePrefix+s.first.ID, s.messageIndex(), 0
	s.event(seq+s.length, name, o)
}

func (s *responseStream) reasoningEvent(seq int, name string, o Object) {
	if o["output_index"] = 0; o["item"] == nil {
		o["item_id"], o["content_index"] = reasoningPrefix+s.first.ID, 0
	}
	s.event(seq+s.length, name, o)
}

func (s *responseStream) reasoning(piece string) error {
	if s.item || s.begin() != nil {
		return s.err
	}
	s.progress()
	if s.thought.Len() == 0 {
		s.reasoningEvent(seqReasoningAdded, "response.output_item.added", Object{"item": reasoningItem(s.first.ID, "in_progress")})
		s.reasoningEvent(seqReasoningPart, "response.content_part.added", Object{"part": reasoningPart("")})
	}
	rest := s.unread(piece, firstReasoning+s.length)
	s.thought.WriteString(piece)
	s.length += len(piece)
	s.reasoningEvent(firstReasoning, "response.reasoning_text.delta", Object{"delta": rest})
	return s.err
}

func (s *responseStream) endReasoning() {
	if s.thought.Len() == 0 {
		return
	}
	text := s.thought.String()
	s.reasoningEvent(seqReasoningTextDone, "response.reasoning_text.done", Object{"text": text})
	s.reasoningEvent(seqReasoningPartDone, "response.content_part.done", Object{"part": reasoningPart(text)})
	s.reasoningEvent(seqReasoningDone, "response.output_item.done", Object{"item": reasoningItem(s.first.ID, "completed", reasoningPart(text))})
}

func (s *responseStream) beginItem() {
	if s.begin() != nil {
		return
	}
	s.progress()
	if s.item {
		return
	}
	s.item = true
	s.endReasoning()
	added := Object{"output_index": s.messageIndex(), "item": messageItem(s.first.ID, "in_progress")}
	s.event(seqItemAdded+s.length, "response.output_item.added", added)
	s.messagePart(seqPartAdded, "response.content_part.added", Object{"part": textPart("")})
}

func (s *responseStream) text(piece string) error {
	s.beginItem()
	rest := s.unread(piece, firstText+s.length)
	s.length += len(piece)
	s.messagePart(firstText, "response.output_text.delta", Object{"delta": rest, "logprobs": []any{}})
	return s.err
}

// unread is what of a piece behind this number the reader does not have. Of one that it has, event sends nothing.
func (s *responseStream) unread(piece string, behind int) string {
	had := s.after - behind
	for had > 0 && had < len(piece) && !utf8.RuneStart(piece[had]) {
		had--
	}
	if had > 0 && had < len(piece) {
		return piece[had:]
	}
	return piece
}

func (s *responseStream) end(r *results.Result) error {
	reason := finish(r)
	if reason == "" && s.out == nil {
		WriteError(s.w, errorFor(ResponsesAPI, r.Err()))
		return nil
	}
	if reason != "" {
		s.endItem(r)
	}
	s.progress()
	name := "response.failed" // a canceled one, too: the SDKs know no other event for it
	switch status(r) {
	case "completed":
		name = "response.completed"
	case "incomplete":
		name = "response.incomplete"
	}
	s.lifecycle(seqEnd+s.length, name, r)
	return s.err
}

func (s *responseStream) endItem(r *results.Result) {
	s.beginItem()
	s.messagePart(seqTextDone, "response.output_text.done", Object{"text": r.Answer, "logprobs": []any{}})
	s.messagePart(seqPartDone, "response.content_part.done", Object{"part": textPart(r.Answer)})
	output := s.echo.output(r)
	s.event(seqItemDone+s.length, "response.output_item.done", Object{"output_index": s.messageIndex(), "item": output[len(output)-1]})
}

// fail ends the stream with an error. The key "error" makes the SDKs raise it, the others are OpenAI's error event.
func (s *responseStream) fail(e *Error) {
	if s.out == nil {
		WriteError(s.w, e)
		return
	}
	s.event(max(seqEnd+s.length, s.after+1), "error", Object{
		"code": OrNull(e.Code), "message": e.Message, "param": OrNull(e.Param), "error": e.object(),
	})
}
