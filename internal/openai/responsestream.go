package openai

import (
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/cozeq/cozeq/internal/sse"
	"github.com/cozeq/cozeq/results"
)

// The sequence_number of an event says where in the answer it stands, so that every serve gives the same number to the same
// event without a note of what was sent: a piece of text that ends at byte N of the answer has firstText+N, and what comes
// after the text adds its length, too, as what comes after the reasoning does, which is known at the end. Numbers grow, but leave some out. With starting_after a piece may be cut.
const (
	seqCreated    = 0
	seqQueued     = 1
	seqInProgress = 2
	seqItemAdded  = 3
	seqPartAdded  = 4
	firstText     = 4

	// Behind the text, plus its length.
	seqTextDone       = 5
	seqPartDone       = 6
	seqItemDone       = 7
	seqReasoningAdded = 8
	seqReasoningPart  = 9
	firstReasoning    = 9

	// Behind the reasoning, plus the length of both.
	seqReasoningTextDone = 10
	seqReasoningPartDone = 11
	seqReasoningDone     = 12
	seqEnd               = 13
)

// responseStream writes the events of a response.
type responseStream struct {
	w     http.ResponseWriter
	r     *http.Request
	out   *sse.Writer // nil before the headers
	echo  *Echo
	first results.Result // the task before its answer
	after int            // events up to this number are left out

	running bool // response.in_progress was sent
	item    bool // the message was begun
	length  int  // bytes of the text so far, and of the reasoning
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

// part is an event about the one part of the message.
func (s *responseStream) part(seq int, name string, o Object) error {
	o["item_id"], o["output_index"], o["content_index"] = messagePrefix+s.first.ID, 0, 0
	return s.event(seq, name, o)
}

func (s *responseStream) beginItem() error {
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.progress(); err != nil || s.item {
		return err
	}
	s.item = true
	err := s.event(seqItemAdded, "response.output_item.added", Object{"output_index": 0, "item": messageItem(s.first.ID, "in_progress")})
	if err != nil {
		return err
	}
	return s.part(seqPartAdded, "response.content_part.added", Object{"part": textPart("")})
}

func (s *responseStream) text(piece string) error {
	if err := s.beginItem(); err != nil {
		return err
	}
	rest := s.unread(piece, firstText+s.length)
	s.length += len(piece)
	return s.part(firstText+s.length, "response.output_text.delta", Object{"delta": rest, "logprobs": []any{}})
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
	output := s.echo.output(r)
	n := s.length
	if err := s.part(seqTextDone+n, "response.output_text.done", Object{"text": r.Answer, "logprobs": []any{}}); err != nil {
		return err
	}
	if err := s.part(seqPartDone+n, "response.content_part.done", Object{"part": textPart(r.Answer)}); err != nil {
		return err
	}
	if err := s.event(seqItemDone+n, "response.output_item.done", Object{"output_index": 0, "item": output[0]}); err != nil {
		return err
	}
	if r.Reasoning == "" {
		return nil
	}
	return s.reasoning(r.Reasoning, output[1])
}

// reasoning sends the second item.
func (s *responseStream) reasoning(text string, item any) (err error) {
	send := func(seq int, name string, o Object) {
		if o["output_index"] = 1; o["item"] == nil {
			o["item_id"], o["content_index"] = reasoningPrefix+s.first.ID, 0
		}
		if err == nil {
			err = s.event(seq+s.length, name, o)
		}
	}
	send(seqReasoningAdded, "response.output_item.added", Object{"item": reasoningItem(s.first.ID, "in_progress")})
	send(seqReasoningPart, "response.content_part.added", Object{"part": reasoningPart("")})
	rest := s.unread(text, firstReasoning+s.length)
	s.length += len(text)
	send(firstReasoning, "response.reasoning_text.delta", Object{"delta": rest})
	send(seqReasoningTextDone, "response.reasoning_text.done", Object{"text": text})
	send(seqReasoningPartDone, "response.content_part.done", Object{"part": reasoningPart(text)})
	send(seqReasoningDone, "response.output_item.done", Object{"item": item})
	return err
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
