package openai

import (
	"encoding/json"
	"time"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/results"
)

type chatStream struct {
	writer
	usage  bool  // the request asked for the usage
	common chunk // what all chunks have
}

type chunk struct {
	ID      string          `json:"id"`
	Object  string          `json:"object"`
	Created int64           `json:"created"`
	Model   string          `json:"model"`
	Choices []choice        `json:"choices"`
	Usage   json.RawMessage `json:"usage,omitempty"`
	Cozeq   Object          `json:"cozeq,omitempty"`
}

type choice struct {
	Index        int       `json:"index"`
	Delta        delta     `json:"delta"`
	Logprobs     *struct{} `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

type delta struct {
	Role      string  `json:"role,omitempty"`
	Content   *string `json:"content,omitempty"`
	Reasoning string  `json:"reasoning_content,omitempty"`
}

func newChatStream(c *request) *chatStream {
	s := &chatStream{writer: writer{w: c.w, r: c.r}, usage: c.IncludeUsage}
	s.common = chunk{ID: completionPrefix + c.id, Object: "chat.completion.chunk", Created: time.Now().Unix(), Model: c.Echo.Model}
	if s.usage { // then each chunk has the key, and all but one without a value
		s.common.Usage = json.RawMessage("null")
	}
	return s
}

func (s *chatStream) begin() error {
	if s.start() {
		empty := ""
		s.send(delta{Role: messages.Assistant, Content: &empty})
	}
	return s.err
}

func (s *chatStream) text(piece string) error { return s.piece(delta{Content: &piece}) }

func (s *chatStream) reasoning(piece string) error { return s.piece(delta{Reasoning: piece}) }

func (s *chatStream) piece(d delta) error {
	_ = s.begin() // its error is kept
	s.send(d)
	return s.err
}

func (s *chatStream) send(d delta) {
	c := s.common
	c.Choices = []choice{{Delta: d}}
	s.data(c)
}

func (s *chatStream) data(v any) { s.encoded(v, func(raw []byte) error { return s.out.Data(raw) }) }

func (s *chatStream) end(r *results.Result) error {
	reason := finish(r)
	if reason == "" {
		s.fail(errorOf(r.Err()))
		return nil
	}
	_ = s.begin() // its error is kept
	last := s.common
	last.Choices, last.Cozeq = []choice{{FinishReason: &reason}}, extension(r)
	s.data(last)
	if s.usage {
		c := s.common
		c.Choices = []choice{}
		c.Usage, _ = messages.Encode(completionUsage(r)) // numbers always encode
		s.data(c)
	}
	if s.err != nil {
		return s.err
	}
	return s.out.Data([]byte("[DONE]"))
}

// fail ends the stream with an error, and without [DONE]: the SDKs raise what has the key "error", and take a stream that
// just ends for a whole one.
func (s *chatStream) fail(e *Error) {
	if s.out == nil {
		WriteError(s.w, e)
		return
	}
	s.data(e)
}
