package openai_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/openai"
)

func echo(question string) string { return "You said: " + question }

func TestChat(t *testing.T) {
	each(t, options{mock: cozetest.Config{Answer: echo}}, func(t *testing.T, s *site) {
		r := s.call("POST", chatAPI, ask("hello", `"user":"ann"`, `"metadata":{"k":"v"}`, `"temperature":1`, `"n":1`, `"tools":[]`))
		if r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		o := r.object(t)
		id := r.header.Get("X-Request-Id")
		if o["id"] != "chatcmpl-"+id || o["object"] != "chat.completion" || o["model"] != "support" || o["created"].(float64) < 1e9 {
			t.Errorf("%s", r.body)
		}
		choice := o["choices"].([]any)[0].(map[string]any)
		message := choice["message"].(map[string]any)
		if choice["finish_reason"] != "stop" || message["content"] != "You said: hello" || message["role"] != "assistant" {
			t.Errorf("%s", r.body)
		}
		if refusal, there := message["refusal"]; !there || refusal != nil {
			t.Errorf("refusal is not null: %s", r.body)
		}
		usage := o["usage"].(map[string]any)
		if usage["total_tokens"].(float64) != usage["prompt_tokens"].(float64)+usage["completion_tokens"].(float64) || usage["total_tokens"].(float64) == 0 {
			t.Errorf("usage %v", usage)
		}
		own := o["cozeq"].(map[string]any)
		if own["task_id"] != id || own["conversation_id"] == "" || len(own["follow_ups"].([]any)) != 3 {
			t.Errorf("cozeq %v", own)
		}
		result, err := s.tasks.Results().Get(t.Context(), id)
		if err != nil || result.UserID != "ann" || result.BotID != bot {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// frames are the data of a stream.
func frames(body string) (all []string) {
	for frame := range strings.SplitSeq(body, "\n\n") {
		for line := range strings.SplitSeq(frame, "\n") {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				all = append(all, data)
			}
		}
	}
	return all
}

func TestChatStream(t *testing.T) {
	each(t, options{mock: cozetest.Config{Answer: echo}}, func(t *testing.T, s *site) {
		for _, usage := range []bool{false, true} {
			more := []string{`"stream":true`}
			if usage {
				more = append(more, `"stream_options":{"include_usage":true}`)
			}
			r := s.call("POST", chatAPI, ask("hello", more...))
			if r.status != 200 || r.header.Get("Content-Type") != "text/event-stream" {
				t.Fatalf("%d %s", r.status, r.body)
			}
			all := frames(r.body)
			if all[len(all)-1] != "[DONE]" {
				t.Errorf("ends with %s", all[len(all)-1])
			}
			all = all[:len(all)-1]
			var content, order strings.Builder
			ids := map[any]bool{}
			for _, frame := range all {
				var c map[string]any
				if err := json.Unmarshal([]byte(frame), &c); err != nil {
					t.Fatal(err)
				}
				ids[c["id"]] = true
				value, there := c["usage"]
				choices := c["choices"].([]any)
				if len(choices) == 0 {
					order.WriteString("u")
					if value == nil {
						t.Errorf("no usage in %s", frame)
					}
					continue
				}
				if there != usage || value != nil {
					t.Errorf("usage in %s", frame)
				}
				choice := choices[0].(map[string]any)
				delta := choice["delta"].(map[string]any)
				switch {
				case delta["role"] != nil:
					order.WriteString("r")
				case choice["finish_reason"] == "stop":
					order.WriteString("f")
				default:
					order.WriteString("c")
					content.WriteString(delta["content"].(string))
				}
			}
			want := "rcf"
			if usage {
				want = "rcfu"
			}
			if got := strings.ReplaceAll(order.String(), "cc", "c"); strings.Trim(got, want) != "" || got[:2] != "rc" || !strings.HasSuffix(got, want[2:]) {
				t.Errorf("order %s, want %s", got, want)
			}
			if content.String() != "You said: hello" || len(ids) != 1 {
				t.Errorf("content %q, ids %v", content.String(), ids)
			}
		}
	})
}

// What comes from a bot's failure, by status, code, header.
func TestFailures(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Bots: []string{bot}}, config: openai.Config{HeadersAfter: time.Minute}})
	tests := []struct {
		question     string
		status       int
		kind, code   string
		retry, param string
	}{
		{"[[mock:code=4014]]", 400, "invalid_request_error", "content_filter", "false", ""},
		{"[[mock:code=4004]]", 400, "invalid_request_error", "coze_4004", "false", ""},
		{"[[mock:code=4010]]", 400, "invalid_request_error", "context_length_exceeded", "false", ""},
		{"[[mock:code=4006]]", 404, "invalid_request_error", "model_not_found", "false", "model"},
	}
	for _, test := range tests {
		bodies := []string{ask(test.question), ask(test.question, `"stream":true`)}
		if test.status == 404 { // the bot is paused by it
			bodies = bodies[:1]
		}
		for _, body := range bodies {
			r := s.call("POST", chatAPI, body)
			e := r.failure(t)
			if r.status != test.status || e.Type != test.kind || text(e.Code) != test.code || r.header.Get("x-should-retry") != test.retry || text(e.Param) != test.param {
				t.Errorf("%s: %d %s, x-should-retry %s", body, r.status, r.body, r.header.Get("x-should-retry"))
			}
			if r.header.Get("X-Request-Id") == "" {
				t.Errorf("%s: no x-request-id", test.question)
			}
		}
	}
}
