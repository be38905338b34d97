package coze_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/cozeq/cozeq/coze"
)

// roundTrip is a server without a network. Like a real transport it reads the request's body.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(strings.NewReader(string(content)))
	}
	return f(r)
}

func reply(status int, kind, body string, header ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		return response(r, status, kind, strings.NewReader(body), header...), nil
	}
}

func response(r *http.Request, status int, kind string, body io.Reader, header ...string) *http.Response {
	h := http.Header{}
	if kind != "" {
		h.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status), Header: h, Body: io.NopCloser(body), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
	}
}

const streamKind = "text/event-stream; charset=utf-8"

func stream(body string) roundTrip {
	return reply(200, streamKind, body, "X-Tt-Logid", "20261123LOG")
}

// broken is a stream that ends with a connection's error rather than an end.
func broken(body string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		return response(r, 200, streamKind, io.MultiReader(strings.NewReader(body), failing{errReset})), nil
	}
}

var errReset = errors.New("connection reset by peer")

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func clientOf(rt http.RoundTripper) *coze.Client {
	return &coze.Client{Auth: coze.StaticToken("pat_secret_of_the_tests"), HTTP: &http.Client{Transport: rt}}
}

func question() *coze.ChatRequest {
	return &coze.ChatRequest{BotID: "b1", UserID: "u1", AdditionalMessages: []coze.Message{coze.UserText("why?")}}
}

type heard struct {
	chat   coze.Chat
	events []coze.EventType
	deltas string
	err    *coze.Error // of Stream or of Events
}

func listen(t testing.TB, c *coze.Client, deltas bool) heard {
	t.Helper()
	var h heard
	s, err := c.Stream(t.Context(), question())
	if err != nil {
		h.err = typed(t, err)
		return h
	}
	defer s.Close()
	s.Deltas = deltas
	for event, err := range s.Events() {
		h.chat.Accumulate(event)
		if event.Type != "" {
			h.events = append(h.events, event.Type)
		}
		if event.Type == coze.EventMessageDelta {
			h.deltas += event.Message.Content
		}
		if err != nil {
			h.err = typed(t, err)
		}
	}
	return h
}

func typed(t testing.TB, err error) *coze.Error {
	t.Helper()
	e, ok := errors.AsType[*coze.Error](err)
	if !ok {
		t.Fatalf("error is %T, want *coze.Error: %v", err, err)
	}
	return e
}

// event is one event as Coze's cloud writes it.
func event(name, data string) string { return "event:" + name + "\ndata:" + data + "\n\n" }

// The pieces of streams that most transcripts are made of.
var (
	created    = event("conversation.chat.created", `{"id":"7382159487131697202","conversation_id":"7381473525342978089","bot_id":"7379462189365198898","completed_at":1718792949,"last_error":{"code":0,"msg":""},"status":"created","usage":{"token_count":0,"output_count":0,"input_count":0}}`)
	inProgress = event("conversation.chat.in_progress", `{"id":"7382159487131697202","conversation_id":"7381473525342978089","bot_id":"7379462189365198898","status":"in_progress"}`)
	delta1     = event("conversation.message.delta", `{"id":"7382159494123470858","conversation_id":"7381473525342978089","bot_id":"7379462189365198898","role":"assistant","type":"answer","content":"2","content_type":"text","chat_id":"7382159487131697202"}`)
	delta2     = event("conversation.message.delta", `{"id":"7382159494123470858","conversation_id":"7381473525342978089","bot_id":"7379462189365198898","role":"assistant","type":"answer","content":"024 \u5e74好🙂","content_type":"text","chat_id":"7382159487131697202"}`)
	answered   = event("conversation.message.completed", `{"id":"7382159494123470858","conversation_id":"7381473525342978089","bot_id":"7379462189365198898","role":"assistant","type":"answer","content":"2024 年好🙂","content_type":"text","chat_id":"7382159487131697202"}`)
	finish     = event("conversation.message.completed", `{"id":"7382159494123552778","conversation_id":"7381473525342978089","role":"assistant","type":"verbose","content":"{\"msg_type\":\"generate_answer_finish\",\"data\":\"{\\\"finish_reason\\\":0}\",\"from_module\":null,\"from_unit\":null}","content_type":"text","chat_id":"7382159487131697202"}`)
	followUp   = event("conversation.message.completed", `{"id":"7382159494123552999","role":"assistant","type":"follow_up","content":"And then?","content_type":"text","chat_id":"7382159487131697202"}`)
	completed  = event("conversation.chat.completed", `{"id":"7382159487131697202","conversation_id":"7381473525342978089","bot_id":"7379462189365198898","completed_at":1718792949,"last_error":{"code":0,"msg":""},"status":"completed","usage":{"token_count":633,"output_count":19,"input_count":614}}`)
	done       = event("done", `"[DONE]"`)
	whole      = created + inProgress + delta1 + delta2 + answered + finish + followUp + completed + done
)

func failed(lastError string) string {
	return event("conversation.chat.failed", `{"id":"7382159487131697202","conversation_id":"7381473525342978089","status":"failed","last_error":`+lastError+`}`)
}

func refusal(code int) string {
	return `{"code":` + strconv.Itoa(code) + `,"msg":"refused","detail":{"logid":"2026INBODY"}}`
}
