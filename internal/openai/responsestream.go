package openai

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/sse"
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

// responseStream writes the events of a response.
type responseStream struct {
	w     http.ResponseWriter
	r     *http.Request
	out   *sse.Writer // nil before the headers
	echo  *Echo
	first results.Result // the task before its answer
	after int            // events up to this number are left out

	running bool            // response.in_progress was sent
	thought strings.Builder // the reasoning so far
	item    bool            // the message was begun
	length  int             // bytes of the reasoning and of the text so far
}

func newResponseStream(w http.ResponseWriter, r *http.Request, e *Echo, result *results.Result) *responseStream {
	s := &responseStream{w: w, r: r, echo: e, after: -1}
	s.first = results.Result{ID: result.ID, Status: results.Queued, CreatedAt: result.CreatedAt, BotID: result.BotID, UserID: result.UserID}
	return s
}

func (s *responseStream) begin() (err error) {
	if s.out != nil {
		return nil
	}
	if s.out, err = sse.Start(s.w, s.r); err != nil {
		return err
	}
	if !s.echo.Background {
		s.first.Status = results.Running
	}
	if err := s.lifecycle(seqCreated, "response.created", &s.first); err != nil {
		return err
	}
	if s.echo.Background {
		return s.lifecycle(seqQueued, "response.queued", &s.first)
	}
	return s.progress()
}

// progress says that the answer is on its way.
func (s *responseStream) progress() error {
	if s.running {
		return nil
	}
	s.running = true
	s.first.Status = results.Running
	return s.lifecycle(seqInProgress, "response.in_progress", &s.first)
}

func (s *responseStream) lifecycle(seq int, name string, r *results.Result) error {
	return s.event(seq, name, Object{"response": s.echo.response(r)})
}

// event sends an event, unless the reader has it.
func (s *responseStream) event(seq int, name string, o Object) error {
	if seq <= s.after {
		return nil
	}
	o["type"], o["sequence_number"] = name, seq
	raw, err := Encode(o)
	if err != nil {
		return err
	}
	return s.out.Event(strconv.Itoa(seq), name, raw)
}

// messageIndex is where the message stands in the output.
func (s *responseStream) messageIndex() int {
	if s.thought.Len() > 0 {
		return 1
	}
	return 0
}

// messagePart is an event about the one part of the message.
func (s *responseStream) messagePart(seq int, name string, o Object) error {
	o["item_id"], o["output_index"], o["content_index"] = messagePrefix+s.first.ID, s.messageIndex(), 0
	return s.event(seq+s.length, name, o)
}

// reasoningEvent is an event about the reasoning.
func (s *responseStream) reasoningEvent(seq int, name string, o Object) error {
	if o["output_index"] = 0; o["item"] == nil {
		o["item_id"], o["content_index"] = reasoningPrefix+s.first.ID, 0
	}
	return s.event(seq+s.length, name, o)
}

func (s *responseStream) reasoning(piece string) error {
	if s.item {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.progress(); err != nil {
		return err
	}
	if s.thought.Len() == 0 {
		if err := s.reasoningEvent(seqReasoningAdded, "response.output_item.added", Object{"item": reasoningItem(s.first.ID, "in_progress")}); err != nil {
			return err
		}
		if err := s.reasoningEvent(seqReasoningPart, "response.content_part.added", Object{"part": reasoningPart("")}); err != nil {
			return err
		}
	}
	rest := s.unread(piece, firstReasoning+s.length)
	s.thought.WriteString(piece)
	s.length += len(piece)
	return s.reasoningEvent(firstReasoning, "response.reasoning_text.delta", Object{"delta": rest})
}

// endReasoning ends the reasoning, if there is one.
func (s *responseStream) endReasoning() error {
	if s.thought.Len() == 0 {
		return nil
	}
	text := s.thought.String()
	if err := s.reasoningEvent(seqReasoningTextDone, "response.reasoning_text.done", Object{"text": text}); err != nil {
		return err
	}
	if err := s.reasoningEvent(seqReasoningPartDone, "response.content_part.done", Object{"part": reasoningPart(text)}); err != nil {
		return err
	}
	return s.reasoningEvent(seqReasoningDone, "response.output_item.done", Object{"item": reasoningItem(s.first.ID, "completed", reasoningPart(text))})
}

func (s *responseStream) beginItem() error {
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.progress(); err != nil || s.item {
		return err
	}
	s.item = true
	if err := s.endReasoning(); err != nil {
		return err
	}
	added := Object{"output_index": s.messageIndex(), "item": messageItem(s.first.ID, "in_progress")}
	if err := s.event(seqItemAdded+s.length, "response.output_item.added", added); err != nil {
		return err
	}
	return s.messagePart(seqPartAdded, "response.content_part.added", Object{"part": textPart("")})
}

func (s *responseStream) text(piece string) error {
	if err := s.beginItem(); err != nil {
		return err
	}
	rest := s.unread(piece, firstText+s.length)
	s.length += len(piece)
	return s.messagePart(firstText, "response.output_text.delta", Object{"delta": rest, "logprobs": []any{}})
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
		if err := s.endItem(r); err != nil {
			return err
		}
	}
	if err := s.progress(); err != nil {
		return err
	}
	name := "response.failed" // a canceled one, too: the SDKs know no other event for it
	switch status(r) {
	case "completed":
		name = "response.completed"
	case "incomplete":
		name = "response.incomplete"
	}
	return s.lifecycle(seqEnd+s.length, name, r)
}

func (s *responseStream) endItem(r *results.Result) error {
	if err := s.beginItem(); err != nil {
		return err
	}
	if err := s.messagePart(seqTextDone, "response.output_text.done", Object{"text": r.Answer, "logprobs": []any{}}); err != nil {
		return err
	}
	if err := s.messagePart(seqPartDone, "response.content_part.done", Object{"part": textPart(r.Answer)}); err != nil {
		return err
	}
	output := s.echo.output(r)
	done := Object{"output_index": s.messageIndex(), "item": output[len(output)-1]}
	return s.event(seqItemDone+s.length, "response.output_item.done", done)
}

// fail ends the stream with an error. The key "error" makes the SDKs raise it, the others are OpenAI's error event.
func (s *responseStream) fail(e *Error) {
	if s.out == nil {
		WriteError(s.w, e)
		return
	}
	_ = s.event(max(seqEnd+s.length, s.after+1), "error", Object{
		"code": OrNull(e.Code), "message": e.Message, "param": OrNull(e.Param), "error": e.object(),
	}) // the client may be gone
}

func (s *responseStream) close() {
	if s.out != nil {
		s.out.Close()
	}
}
