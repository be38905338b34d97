package openai

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/cozeq/cozeq/internal/messages"
	"github.com/cozeq/cozeq/internal/sse"
	"github.com/cozeq/cozeq/results"
)

// chatStream writes the chunks of a chat completion.
type chatStream struct {
	w      http.ResponseWriter
	r      *http.Request
	out    *sse.Writer // nil before the headers
	usage  bool        // the request asked for the usage
	common chunk       // what all chunks have
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
	s := &chatStream{w: c.w, r: c.r, usage: c.IncludeUsage}
	s.common = chunk{ID: completionPrefix + c.id, Object: "chat.completion.chunk", Created: time.Now().Unix(), Model: c.Echo.Model}
	if s.usage { // then each chunk has the key, and all but one without a value
		s.common.Usage = json.RawMessage("null")
	}
	return s
}

func (s *chatStream) begin() (err error) {
	if s.out != nil {
		return nil
	}
	if s.out, err = sse.Start(s.w, s.r); err != nil {
		return err
	}
	empty := ""
	return s.send(delta{Role: messages.Assistant, Content: &empty}, "")
}

func (s *chatStream) text(piece string) error {
	if err := s.begin(); err != nil {
		return err
	}
	return s.send(delta{Content: &piece}, "")
}

func (s *chatStream) reasoning(piece string) error {
	if err := s.begin(); err != nil {
		return err
	}
	return s.send(delta{Reasoning: piece}, "")
}

func (s *chatStream) send(d delta, finish string) error {
	c := s.common
	c.Choices = []choice{{Delta: d}}
	if finish != "" {
		c.Choices[0].FinishReason = &finish
	}
	return s.data(c)
}

func (s *chatStream) data(v any) error {
	raw, err := Encode(v)
	if err != nil {
		return err
	}
	return s.out.Data(raw)
}

func (s *chatStream) end(r *results.Result) error {
	reason := finish(r)
	if reason == "" {
		s.fail(errorOf(r.Err()))
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	last := s.common
	last.Choices, last.Cozeq = []choice{{FinishReason: &reason}}, extension(r)
	if err := s.data(last); err != nil {
		return err
	}
	if s.usage {
		c := s.common
		c.Choices = []choice{}
		c.Usage, _ = Encode(completionUsage(r)) // numbers always encode
		if err := s.data(c); err != nil {
			return err
		}
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
	_ = s.data(e) // the client may be gone
}

func (s *chatStream) close() {
	if s.out != nil {
		s.out.Close()
	}
}
