package openai_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/pause"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

const again = "X-Stainless-Retry-Count: 1"

// The SDKs send a request again without a word of what happened to the first.
func TestRetryJoins(t *testing.T) {
	each(t, options{mock: cozetest.Config{Answer: echo}}, func(t *testing.T, s *site) {
		for _, api := range []string{chatAPI, responsesAPI} {
			question := "once at " + api
			body := ask(question)
			if api == responsesAPI {
				body = respond(question)
			}
			first, second := s.call("POST", api, body), s.call("POST", api, body, again)
			if first.status != 200 || second.body != first.body || s.mock.ByQuestion(question) != 1 {
				t.Errorf("%s\n%s\nasked %d times", first.body, second.body, s.mock.ByQuestion(question))
			}
		}
		key := "Idempotency-Key: k1"
		first, second := s.call("POST", chatAPI, ask("keyed"), key), s.call("POST", chatAPI, ask("keyed"), key)
		if first.status != 200 || second.body != first.body || s.mock.ByQuestion("keyed") != 1 {
			t.Errorf("%s\n%s", first.body, second.body)
		}
		if r := s.call("POST", chatAPI, ask("another"), key); r.status != 422 || text(r.failure(t).Code) != "idempotency_key_reused" {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
}

// A client that is about to give up is told to come again, and joins its task.
func TestComeAgain(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	body := ask("slow [[mock:pace=300ms]]")
	r := s.call("POST", chatAPI, body, "X-Stainless-Timeout: 1")
	if r.status != 504 || r.header.Get("X-Should-Retry") != "true" || r.header.Get("Retry-After") != "1" {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	retried := s.call("POST", chatAPI, body, again)
	if retried.status != 200 || retried.header.Get("X-Request-Id") != r.header.Get("X-Request-Id") || s.mock.ByQuestion("slow [[mock:pace=300ms]]") != 1 {
		t.Errorf("%d %s", retried.status, retried.body)
	}
}

// away is a Redis that does not answer the next look at a task.
type away struct {
	redis.Hook
	next atomic.Bool
}

func (a *away) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (a *away) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (a *away) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[len(cmds)-1].Name() == "xread" && a.next.Swap(false) {
			return io.EOF
		}
		return next(ctx, cmds)
	}
}

// Redis goes away between the question and the wait for its answer. The client comes again, and its task is not canceled.
func TestRedisAway(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	var hook away
	store := results.NewStore(redistest.Hooked(t, s.redis, &hook))
	defer store.Close()
	other := *s
	other.tasks = tasks.NewClient(store)
	_, url := other.serve(options{})
	for api, body := range map[string]string{
		chatAPI + "?1":      ask("one [[mock:pace=50ms]]"),
		chatAPI + "?2":      ask("two [[mock:pace=50ms]]", `"stream":true`),
		responsesAPI + "?3": respond("three [[mock:pace=50ms]]", `"stream":true`, `"background":true`),
	} {
		hook.next.Store(true)
		r, err := s.try(t.Context(), url, "POST", api, body)
		if err != nil || r.status != 503 || text(r.failure(t).Code) != "unavailable" || r.header.Get("X-Should-Retry") != "true" {
			t.Errorf("%s: %d %s, %v", body, r.status, r.body, err)
		}
		if r, err = s.try(t.Context(), url, "POST", api, body, again); err != nil || r.status != 200 || strings.Contains(r.body, `"error":{`) {
			t.Errorf("%s: %d %s, %v", body, r.status, r.body, err)
		}
	}
	if s.mock.Accepted() != 3 {
		t.Errorf("%d chats, want 3", s.mock.Accepted())
	}
}

// status waits until the only task with this question has a status.
func (s *site) until(id string, want results.Status) {
	s.t.Helper()
	awaittest.Until(s.t, fmt.Sprintf("%s is %s", id, want), func() bool {
		r, err := s.tasks.Results().Get(s.t.Context(), id)
		return err == nil && r.Status == want
	})
}

// hangUp sends a request, and hangs up as soon as Coze has the question. It returns the id of the task.
func (s *site) hangUp(api, body string) string {
	s.t.Helper()
	before := s.mock.Accepted()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.try(ctx, s.url, "POST", api, body)
	}()
	awaittest.Until(s.t, "the question is asked", func() bool { return s.mock.Accepted() > before })
	var newest string
	for _, key := range s.redis.Keys(s.t.Context(), "cozeq:waiting:*").Val() {
		newest = strings.TrimSuffix(strings.TrimPrefix(key, "cozeq:waiting:{"), "}")
	}
	cancel()
	<-ended
	return newest
}

func TestHangUp(t *testing.T) {
	s := embedded(t, options{config: openai.Config{Grace: 50 * time.Millisecond}})
	kept := s.hangUp(chatAPI, ask("kept [[mock:pace=20s]]", `"store":true`))
	s.redis.Del(t.Context(), "cozeq:waiting:{"+kept+"}")
	for _, body := range []string{ask("[[mock:pace=20s]]"), ask("[[mock:pace=20s]]", `"stream":true`)} {
		s.until(s.hangUp(chatAPI, body), results.Canceled)
		asked := s.mock.Accepted() // Coze has the question: it is not asked once more
		r := s.call("POST", chatAPI, body, again)
		refused := r.status == 409 && r.header.Get("X-Should-Retry") == "false" || r.status == 200 && strings.Contains(body, "stream")
		if !refused || !strings.Contains(r.body, `"code":"canceled"`) || s.mock.Accepted() != asked {
			t.Errorf("%d %v %s", r.status, r.header, r.body)
		}
	}
	if r, err := s.tasks.Results().Get(t.Context(), kept); err != nil || r.Status.Terminal() {
		t.Errorf("what is stored: %+v, %v", r, err)
	}
	if _, err := s.tasks.Cancel(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	s.until(kept, results.Canceled)
}

// The SDK's time-out looks like a client that hangs up, and its retry comes to another serve.
func TestHangUpAndComeAgain(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}, config: openai.Config{Grace: 300 * time.Millisecond}})
	_, other := s.serve(options{})
	body := ask("come again [[mock:pace=150ms]]")
	s.hangUp(chatAPI, body)
	r, err := s.try(t.Context(), other, "POST", chatAPI, body, again)
	if err != nil || r.status != 200 || s.mock.ByQuestion("come again [[mock:pace=150ms]]") != 1 {
		t.Errorf("%d %s, %v", r.status, r.body, err)
	}
}

// content puts a stream's text together, and says how it ended.
func content(t *testing.T, body string) (text, end string) {
	t.Helper()
	for _, frame := range frames(body) {
		var c struct {
			Choices []struct {
				Delta  struct{ Content string }
				Finish *string `json:"finish_reason"`
			}
			Error *failure
		}
		if frame == "[DONE]" {
			end += " DONE"
			continue
		}
		if err := json.Unmarshal([]byte(frame), &c); err != nil {
			t.Fatal(err)
		}
		if c.Error != nil {
			end += *c.Error.Code
		}
		for _, choice := range c.Choices {
			text += choice.Delta.Content
			if choice.Finish != nil {
				end += *choice.Finish
			}
		}
	}
	return text, end
}

// A stream that was cut is looked up, and its reader notices nothing.
func TestCutStream(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	got, end := content(t, s.call("POST", chatAPI, ask("a question [[mock:cut=5]]", `"stream":true`)).body)
	if got != "You said: a question" || end != "stop DONE" {
		t.Errorf("%q, %s", got, end)
	}
}

// An answer that begins anew with other words cannot be told in a stream of OpenAI's.
func TestRestartedAnswer(t *testing.T) {
	var asked atomic.Int64
	s := embedded(t, options{mock: cozetest.Config{Answer: func(string) string { return fmt.Sprintf("%d is the answer", asked.Add(1)) }}})
	const question = "[[mock:cut=6 then=failed times=1 pace=100ms]]"
	got, end := content(t, s.call("POST", chatAPI, ask("one "+question, `"stream":true`)).body)
	if !strings.HasPrefix(got, "1") || end != "answer_restarted" {
		t.Errorf("%q, %s", got, end)
	}
	got, end = content(t, s.call("POST", chatAPI, ask("two "+question, `"stream":true`, `"cozeq":{"on_reset":"wait"}`)).body)
	if !strings.HasSuffix(got, " is the answer") || len(got) != len("4 is the answer") || end != "stop DONE" {
		t.Errorf("%q, %s", got, end)
	}
}

// A bot that needs another token, or money, is no reason to wait.
func TestPaused(t *testing.T) {
	s := embedded(t, options{})
	r := s.call("POST", chatAPI, ask("[[mock:code=4028]]"))
	if e := r.failure(t); r.status != 429 || text(e.Code) != "insufficient_quota" || r.header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s", r.status, r.body)
	}
	s.until(r.header.Get("X-Request-Id"), results.Canceled)
}

// While the pause lasts a question whose answer is waited for is refused before it is in the queue, and others wait there.
// A probe that is due lets one through, and its answer ends the pause.
func TestAskedWhilePaused(t *testing.T) {
	each(t, options{mock: cozetest.Config{Answer: echo}}, func(t *testing.T, s *site) {
		done := s.call("POST", chatAPI, ask("done"), "Idempotency-Key: k1")
		s.call("POST", chatAPI, ask("[[mock:code=4028 times=1]]"))
		n := 0
		awaittest.Until(t, "the pause is seen", func() bool { // one that was in the queue before has a task
			n++
			r := s.call("POST", chatAPI, ask(strconv.Itoa(n)))
			return r.status != 200 && r.header.Get("X-Request-Id") == ""
		})
		asked := s.mock.Accepted() // Coze has the question: it is not asked once more
		for name, r := range map[string]reply{
			"chat": s.call("POST", chatAPI, ask("paused")), "stream": s.call("POST", chatAPI, ask("paused", `"stream":true`)), "response": s.call("POST", responsesAPI, respond("paused")),
			"retry": s.call("POST", chatAPI, ask("paused"), again),
		} {
			e := r.failure(t)
			after, _ := strconv.Atoi(r.header.Get("Retry-After"))
			if r.status != 503 || text(e.Code) != "insufficient_quota" || r.header.Get("X-Should-Retry") != "false" || after < 1 || after > 60 || !strings.Contains(e.Message, "paused") {
				t.Errorf("%s: %d %v %s", name, r.status, r.header, r.body)
			}
			if id := r.header.Get("X-Request-Id"); id != "" {
				t.Errorf("%s: there is a task %s", name, id)
			}
		}
		if r := s.call("POST", chatAPI, ask("done"), "Idempotency-Key: k1"); r.status != 200 || r.body != done.body {
			t.Errorf("a task that was there: %d %s", r.status, r.body)
		}
		waiting := s.call("POST", responsesAPI, respond("later", `"background":true`)).object(t)
		extension := waiting["cozeq"].(map[string]any)
		if waiting["status"] != "queued" || extension["paused_until"] == nil || !strings.Contains(extension["reason"].(string), "paused") || s.mock.Accepted() != asked {
			t.Errorf("in the background: %v", waiting)
		}
		if _, err := pause.ProbeNow(t.Context(), s.redis); err != nil {
			t.Fatal(err)
		}
		s.until(strings.TrimPrefix(waiting["id"].(string), "resp_"), results.Completed)
		awaittest.Until(t, "the pause is over", func() bool { return s.call("POST", chatAPI, ask("after")).status == 200 })
	})
}

// A question that is in its queue when an operator pauses it has no answer soon.
func TestPausedByOperator(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}, config: openai.Config{HeadersAfter: time.Minute}})
	held := s.call("POST", responsesAPI, respond("first", `"background":true`)) // the queue is known
	s.until(strings.TrimPrefix(held.object(t)["id"].(string), "resp_"), results.Completed)
	if _, err := (asynqx.QueuePauses{Redis: s.redis}).OperatorPause(t.Context(), tasks.QueueDefault); err != nil {
		t.Fatal(err)
	}
	// The first may come before the pause is seen, and is told a moment later.
	// The task of a stream is canceled at once. Its retry is told of the pause, not of that, and has it asked later.
	body := ask("held", `"stream":true`)
	for _, headers := range [][]string{nil, {again}} {
		r := s.call("POST", chatAPI, body, headers...)
		if r.status != 503 || text(r.failure(t).Code) != "paused" || r.header.Get("X-Should-Retry") != "true" || r.header.Get("Retry-After") != "60" {
			t.Fatalf("%d %v %s", r.status, r.header, r.body)
		}
		if id := r.header.Get("X-Request-Id"); id != "" {
			s.until(id, results.Canceled)
		}
	}
	if _, err := (asynqx.QueuePauses{Redis: s.redis}).OperatorResume(t.Context(), tasks.QueueDefault); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the retry has an answer", func() bool { return s.call("POST", chatAPI, body, again).status == 200 })
	got, end := content(t, s.call("POST", chatAPI, body, again).body)
	if got != "You said: held" || end != "stop DONE" || s.mock.ByQuestion("held") != 1 {
		t.Errorf("asked %d times: %q, %s", s.mock.ByQuestion("held"), got, end)
	}
}

func TestClosing(t *testing.T) {
	s := embedded(t, options{mock: cozetest.Config{Answer: echo}})
	h, url := s.serve(options{})
	body := ask("closing [[mock:pace=100ms]]")
	replies := make(chan reply)
	go func() {
		r, err := s.try(t.Context(), url, "POST", chatAPI, body)
		if err != nil {
			t.Error(err)
		}
		replies <- r
	}()
	awaittest.Until(s.t, "the question is asked", func() bool { return s.mock.Accepted() == 1 })
	h.Close()
	if r := <-replies; r.status != 503 || text(r.failure(t).Code) != "server_closing" || r.header.Get("X-Should-Retry") != "true" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := s.call("POST", chatAPI, body, again); r.status != 200 || s.mock.ByQuestion("closing [[mock:pace=100ms]]") != 1 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestResponses(t *testing.T) {
	each(t, options{mock: cozetest.Config{Answer: echo}}, func(t *testing.T, s *site) {
		r := s.call("POST", responsesAPI, respond("one", `"metadata":{"k":"v"}`))
		o := r.object(t)
		if o["status"] != "completed" || o["object"] != "response" || o["id"] != "resp_"+r.header.Get("X-Request-Id") {
			t.Fatalf("%d %s", r.status, r.body)
		}
		path := responsesAPI + "/" + o["id"].(string)
		if got := s.call("GET", path, ""); got.body != r.body {
			t.Errorf("retrieved %s\nwant %s", got.body, r.body)
		}
		next := s.call("POST", responsesAPI, respond("two", `"previous_response_id":"`+o["id"].(string)+`"`)).object(t)
		if a, b := next["cozeq"].(map[string]any)["conversation_id"], o["cozeq"].(map[string]any)["conversation_id"]; a != b {
			t.Errorf("conversation %v, want %v", a, b)
		}
		if r := s.call("POST", path+"/cancel", ""); r.status != 400 {
			t.Errorf("cancel: %d %s", r.status, r.body)
		}
		if r := s.call("DELETE", path, ""); r.status != 200 || s.call("GET", path, "").status != 404 {
			t.Errorf("delete: %d %s", r.status, r.body)
		}
		unstored := s.call("POST", responsesAPI, respond("three", `"store":false`)).object(t)
		if r := s.call("GET", responsesAPI+"/"+unstored["id"].(string), ""); r.status != 404 {
			t.Errorf("not stored: %d %s", r.status, r.body)
		}
		if r := s.call("POST", responsesAPI, respond("four", `"previous_response_id":"resp_x"`)); r.status != 400 || text(r.failure(t).Code) != "previous_response_not_found" {
			t.Errorf("previous: %d %s", r.status, r.body)
		}
	})
}

func TestOthersResponse(t *testing.T) {
	s := embedded(t, options{key: &apikey.Key{Name: "acme"}})
	id := s.call("POST", responsesAPI, respond("mine")).object(t)["id"].(string)
	_, url := s.serve(options{key: &apikey.Key{Name: "other"}})
	for _, request := range [][2]string{{"GET", ""}, {"GET", "/input_items"}, {"DELETE", ""}, {"POST", "/cancel"}} {
		r, err := s.try(t.Context(), url, request[0], responsesAPI+"/"+id+request[1], "")
		if err != nil || r.status != 404 {
			t.Errorf("%s: %d %s, %v", request, r.status, r.body, err)
		}
	}
}
