package openai_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/results"
)

// What other fronts of Coze's get wrong, each asked with and without a stream. Turns and pictures that get lost are in
// TestDecode, a chat that hangs in TestComeAgain, usage and user in TestChat, a cut stream in TestCutStream, a pause in
// TestPaused, a retry that asks again in TestRetryJoins.
func TestFronts(t *testing.T) {
	s := embedded(t, options{coze: func(next http.RoundTripper) http.RoundTripper { return leaky{next} }, mock: cozetest.Config{Answer: echo}})
	for _, test := range []struct{ name, question, want, end string }{
		{"a delta of another type leaks", "plain", "You said: plain", "stop"},
		{"the last of several answers alone", "[[mock:answers=2]]", "You said: \nYou said:  (2 of 2)", "stop"},
		{"a line over 64 KiB ends the stream", "[[mock:size=300000]]", "", "stop"},
		{"the conversation is busy", "busy [[mock:error=4016 times=1]]", "You said: busy", "stop"},
		{"a rate limit", "often [[mock:code=4013 times=1]]", "You said: often", "stop"},
		{"a failure after some text looks like an end", "half [[mock:fail=4004 after=5]]", "", "coze_4004"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && strings.Contains(test.question, "4016") {
				t.Skip("whether the chat in the way is its own takes 15 s to find out")
			}
			streamed := "streamed " + test.question
			streams := make(chan reply)
			go func() {
				r, err := s.try(t.Context(), s.url, "POST", chatAPI, ask(streamed, `"stream":true`))
				if err != nil {
					t.Error(err)
				}
				streams <- r
			}()
			plain, stream := s.call("POST", chatAPI, ask(test.question)), <-streams
			got, end := content(t, stream.body)
			if test.end != "stop" {
				if e := plain.failure(t); plain.status != 400 || text(e.Code) != test.end || !strings.Contains(stream.body, test.end) || strings.Contains(stream.body, "[DONE]") {
					t.Errorf("%d %s\n%s", plain.status, plain.body, stream.body)
				}
				return
			}
			if plain.status != 200 {
				t.Fatalf("%d %s", plain.status, plain.body)
			}
			choice := plain.object(t)["choices"].([]any)[0].(map[string]any)
			whole := choice["message"].(map[string]any)["content"].(string)
			if test.want == "" && len(whole) != 300_000 || test.want != "" && whole != test.want {
				t.Errorf("the answer is %.200q", whole)
			}
			record, err := s.tasks.Results().Get(t.Context(), stream.header.Get("X-Request-Id"))
			if err != nil || got == "" || got != record.Answer || end != "stop DONE" {
				t.Errorf("streamed: %.200q, %s; the record: %+v, %v", got, end, record, err)
			}
			if a, b := s.mock.ByQuestion(test.question), s.mock.ByQuestion(streamed); a != 1 || b != 1 {
				t.Errorf("asked %d times, and %d times as a stream", a, b)
			}
		})
	}
	// A reader of the pieces has the reasoning before the answer.
	body := s.call("POST", chatAPI, ask("Why is the sky blue, and the sea, too? [[mock:reasoning pace=100ms]]", `"stream":true`)).body
	if !strings.Contains(body, `"reasoning_content":"`) || strings.LastIndex(body, `"reasoning_content":"`) > strings.Index(body, `"delta":{"content":"`) {
		t.Errorf("the reasoning does not come before the answer: %s", body)
	}
	for _, r := range s.mock.Requests() {
		if r.Path == "/v3/chat" && r.UserID != "cozeq" { // a new user each call has no history
			t.Errorf("a question without a user is of %q", r.UserID)
		}
	}
}

// leaky is a Coze whose streams have deltas that are no part of the answer.
type leaky struct{ next http.RoundTripper }

func (l leaky) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(r)
	if err != nil || response.Header.Get("Content-Type") != "text/event-stream" {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if before, rest, found := bytes.Cut(body, []byte("event:conversation.message.delta\n")); found {
		frame, _, _ := bytes.Cut(rest, []byte("\n\n"))
		body = append([]byte(nil), before...)
		for _, kind := range []string{"verbose", "follow_up", "tool_response"} {
			other := bytes.Replace(frame, []byte(`"type":"answer"`), fmt.Appendf(nil, `"type":%q`, kind), 1)
			body = fmt.Appendf(body, "event:conversation.message.delta\n%s\n\n", other)
		}
		body = fmt.Appendf(body, "event:conversation.message.delta\n%s", rest)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, err
}

// The SDKs act on status and headers: what would fail again, or ask twice, is not to be sent again.
func TestWriteError(t *testing.T) {
	for _, test := range []struct {
		err                error
		status             int
		code, retry, after string
	}{
		{&results.Failure{Class: "auth", Code: 4100}, 503, "upstream_auth", "false", ""},
		{&results.Failure{Class: "quota", Code: 4028}, 429, "insufficient_quota", "false", ""},
		{&results.Failure{Class: "rate", Code: 4013}, 429, "rate_limit_exceeded", "false", ""},
		{&results.Failure{Class: "transient", Code: 5000}, 502, "coze_5000", "false", ""},
		{&results.Failure{Class: "truncated"}, 502, "truncated", "false", ""},
		{&results.Failure{Class: "timeout"}, 504, "timeout", "false", ""},
		{&results.Failure{Class: "permanent", Code: 4014}, 400, "content_filter", "false", ""},
		{&openai.Error{Status: 503, Code: "x", RetryAfter: time.Hour}, 503, "x", "", "60"}, // above that the SDKs do not obey
		{&openai.Error{Status: 503, Code: "x", RetryAfter: 100 * time.Millisecond}, 503, "x", "", "1"},
	} {
		w := httptest.NewRecorder()
		openai.WriteError(w, test.err)
		r := reply{w.Code, w.Header(), w.Body.String()}
		if r.status != test.status || text(r.failure(t).Code) != test.code || r.header.Get("x-should-retry") != test.retry || r.header.Get("Retry-After") != test.after {
			t.Errorf("%+v: %d %v %s", test.err, r.status, r.header, r.body)
		}
	}
}
