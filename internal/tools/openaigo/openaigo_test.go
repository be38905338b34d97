package openaigo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
)

// site is a server with a mock of Coze behind it.
type site struct {
	openai.Client
	mock, serve *program
}

func say(question string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "support", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(question)}}
}

func input(text string, background bool) responses.ResponseNewParams {
	p := responses.ResponseNewParams{Model: "support", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(text)}}
	if background {
		p.Background = openai.Bool(true)
	}
	return p
}

func TestOpenAIGo(t *testing.T) {
	path := build(t)
	s := &site{mock: start(t, path, nil, "mock", "--log", "info")}
	s.serve = start(t, path, []string{"COZE_API_BASE=" + s.mock.url, "COZE_API_TOKEN=any", "REDIS_URL="}, "serve", "--http", "127.0.0.1:0", "--model", "support=7461001")
	s.Client = s.client(s.serve.url)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"models", s.models}, {"chat", s.chat}, {"stream", s.stream}, {"errors", s.errors}, {"retries", s.retries},
		{"response", s.response}, {"background", s.background}, {"files", s.files}, {"batch", s.batch},
		{"quota", s.quota}, // it pauses the account: last
	} {
		t.Run(step.name, step.run)
	}
}

func (s *site) client(url string, more ...option.RequestOption) openai.Client {
	return openai.NewClient(append(more, option.WithBaseURL(url+"/v1"), option.WithAPIKey("any"))...)
}

func check(t *testing.T, what string, err error, got, want any) {
	t.Helper()
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, %v, want %v", what, got, err, want)
	}
}

// asked is how many chats the mock's log has.
func (s *site) asked() int { return s.mock.count(`"POST /v3/chat"`) }

// askedSince waits until the mock has logged want chats: it logs one after its last byte, which may be after the answer is here.
func (s *site) askedSince(t *testing.T, before, want int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); s.asked()-before < want && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	check(t, "chats", nil, s.asked()-before, want)
}

func (s *site) models(t *testing.T) {
	var names []string
	pages := s.Models.ListAutoPaging(t.Context())
	for pages.Next() {
		names = append(names, pages.Current().ID)
	}
	check(t, "list", pages.Err(), names, []string{"support"})
	m, err := s.Models.Get(t.Context(), "support")
	if err != nil || m.ID != "support" {
		t.Errorf("%v, %v", m, err)
	}
}

func (s *site) chat(t *testing.T) {
	c, err := s.Chat.Completions.New(t.Context(), say("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Choices[0].Message.Content != answer("hello") || c.Choices[0].FinishReason != "stop" || c.Usage.TotalTokens == 0 {
		t.Errorf("%s", c.RawJSON())
	}
}

func (s *site) stream(t *testing.T) {
	params := say("hello")
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	var all openai.ChatCompletionAccumulator
	stream := s.Chat.Completions.NewStreaming(t.Context(), params)
	for stream.Next() {
		if !all.AddChunk(stream.Current()) {
			t.Fatalf("the accumulator refuses %s", stream.Current().RawJSON())
		}
	}
	check(t, "stream", stream.Err(), all.Choices[0].Message.Content, answer("hello"))
	if all.Usage.TotalTokens == 0 || all.Choices[0].FinishReason != "stop" {
		t.Errorf("%+v", all.ChatCompletion)
	}
	long := s.Responses.NewStreaming(t.Context(), input("long [[mock:size=300000]]", false)) // a line over 64 KiB
	n := 0
	for long.Next() {
		if e := long.Current(); e.Type == "response.completed" {
			n = len(e.Response.OutputText())
		}
	}
	check(t, "a long answer", long.Err(), n, 300_000)
}

func (s *site) errors(t *testing.T) {
	other := say("x")
	other.Model = "gpt-4o"
	two := say("x")
	two.N = openai.Int(2)
	for _, c := range []struct {
		params      openai.ChatCompletionNewParams
		status      int
		code, param string
	}{
		{other, 404, "model_not_found", "model"},
		{two, 400, "unsupported_parameter", "n"},
		{say("x [[mock:code=4014]]"), 400, "content_filter", ""},
	} {
		_, err := s.Chat.Completions.New(t.Context(), c.params)
		e, ok := errors.AsType[*openai.Error](err)
		if !ok || e.StatusCode != c.status || e.Code != c.code || e.Param != c.param || e.Response.Header.Get("X-Request-Id") == "" {
			t.Errorf("%v, want %+v", err, c)
		}
	}
	stream := s.Chat.Completions.NewStreaming(t.Context(), say("slow [[mock:fail=4004 after=5 pace=100ms]]"))
	for stream.Next() {
	}
	if e, ok := errors.AsType[*ssestream.StreamError](stream.Err()); !ok || !strings.Contains(e.Message, "coze_4004") {
		t.Errorf("a stream that fails: %v", stream.Err())
	}
}

// retries sees that what the library sends again is asked once.
func (s *site) retries(t *testing.T) {
	before := s.asked()
	cut := s.client(cutting(t, s.serve.url))
	c, err := cut.Chat.Completions.New(t.Context(), say("cut once"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, "cut", nil, c.Choices[0].Message.Content, answer("cut once"))
	// It does not send again what has timed out. Who does that gives a key.
	key, slow := option.WithHeader("Idempotency-Key", "k"), say("slow once [[mock:pace=200ms]]")
	_, err = s.Chat.Completions.New(t.Context(), slow, key, option.WithRequestTimeout(500*time.Millisecond))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a time-out: %v", err)
	}
	if c, err = s.Chat.Completions.New(t.Context(), slow, key); err != nil {
		t.Fatal(err)
	}
	check(t, "time-out", nil, c.Choices[0].Message.Content, answer("slow once"))
	s.askedSince(t, before, 2)
}

func (s *site) response(t *testing.T) {
	first, err := s.Responses.New(t.Context(), input("one", false))
	if err != nil {
		t.Fatal(err)
	}
	check(t, "one", nil, first.OutputText(), answer("one"))
	params := input("two", false)
	params.PreviousResponseID = openai.String(first.ID)
	next, err := s.Responses.New(t.Context(), params)
	if err != nil || !strings.Contains(next.OutputText(), `(turn 2, after "one")`) {
		t.Errorf("two: %v, %v", next, err)
	}
	if err := s.Responses.Delete(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
	_, err = s.Responses.Get(t.Context(), first.ID, responses.ResponseGetParams{})
	if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != 404 {
		t.Errorf("deleted: %v", err)
	}
}

func (s *site) background(t *testing.T) {
	r, err := s.Responses.New(t.Context(), input("later [[mock:pace=20ms]]", true))
	for err == nil && (r.Status == "queued" || r.Status == "in_progress") {
		time.Sleep(20 * time.Millisecond) // as users poll
		r, err = s.Responses.Get(t.Context(), r.ID, responses.ResponseGetParams{})
	}
	if err != nil {
		t.Fatal(err)
	}
	check(t, "polled", nil, r.OutputText(), answer("later"))

	id, text, at := "", "", int64(0)
	read := func(stream *ssestream.Stream[responses.ResponseStreamEventUnion], enough int) {
		defer stream.Close()
		for len(text) < enough && stream.Next() {
			e := stream.Current()
			if e.Response.ID != "" {
				id = e.Response.ID
			}
			if e.Type == "response.output_text.delta" {
				text += e.Delta
			}
			at = e.SequenceNumber
		}
		if stream.Err() != nil {
			t.Error(stream.Err())
		}
	}
	read(s.Responses.NewStreaming(t.Context(), input("a longer 长一点 question [[mock:pace=100ms]]", true)), 5)
	read(s.Responses.GetStreaming(t.Context(), id, responses.ResponseGetParams{StartingAfter: openai.Int(at)}), 1000)
	check(t, "resumed", nil, text, answer("a longer 长一点 question"))

	r, err = s.Responses.New(t.Context(), input("never [[mock:pace=20s]]", true))
	if err == nil {
		r, err = s.Responses.Cancel(t.Context(), r.ID)
	}
	for end := time.Now().Add(time.Minute); err == nil && r.Status == "in_progress" && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond) // the reply comes after 5 s at the latest, whatever the worker has done by then
		r, err = s.Responses.Get(t.Context(), r.ID, responses.ResponseGetParams{})
	}
	if err != nil || r.Status != "cancelled" {
		t.Errorf("canceled: %v, %v", r, err)
	}
}

func (s *site) files(t *testing.T) {
	const text = "a picture, as far as anybody knows"
	f, err := s.Files.New(t.Context(), openai.FileNewParams{File: openai.File(strings.NewReader(text), "图.png", "image/png"), Purpose: openai.FilePurposeVision})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "upload", nil, []any{f.Filename, f.Bytes, f.Purpose}, []any{"图.png", len(text), "vision"})
	check(t, "content", nil, s.content(t, f.ID), text)
	n := 0
	pages := s.Files.ListAutoPaging(t.Context(), openai.FileListParams{Limit: openai.Int(1)})
	for pages.Next() {
		n++
	}
	check(t, "list", pages.Err(), n, 1)
	deleted, err := s.Files.Delete(t.Context(), f.ID)
	if err != nil || !deleted.Deleted {
		t.Errorf("delete: %v, %v", deleted, err)
	}
}

func (s *site) content(t *testing.T, id string) string {
	t.Helper()
	response, err := s.Files.Content(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s *site) batch(t *testing.T) {
	var lines strings.Builder
	for _, question := range []string{"one", "two", "three [[mock:code=4014]]"} {
		fmt.Fprintf(&lines, `{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"model":"support","messages":[{"role":"user","content":%q}]}}`+"\n", question[:3], question)
	}
	f, err := s.Files.New(t.Context(), openai.FileNewParams{File: openai.File(strings.NewReader(lines.String()), "in.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Batches.New(t.Context(), openai.BatchNewParams{
		InputFileID: f.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	})
	for err == nil && (b.Status == "validating" || b.Status == "in_progress") {
		time.Sleep(20 * time.Millisecond) // as users poll
		b, err = s.Batches.Get(t.Context(), b.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	check(t, "batch", nil, []any{b.Status, b.RequestCounts.Total, b.RequestCounts.Completed, b.RequestCounts.Failed}, []any{"completed", 3, 2, 1})
	if out := s.content(t, b.OutputFileID); strings.Count(out, "\n") != 2 || !strings.Contains(out, `"custom_id":"two"`) {
		t.Errorf("output: %s", out)
	}
	if out := s.content(t, b.ErrorFileID); !strings.Contains(out, `"custom_id":"thr"`) || !strings.Contains(out, "content_filter") {
		t.Errorf("errors: %s", out)
	}
	n := 0
	pages := s.Batches.ListAutoPaging(t.Context(), openai.BatchListParams{Limit: openai.Int(1)})
	for pages.Next() {
		n++
	}
	check(t, "list", pages.Err(), n, 1)
	_, err = s.Batches.Cancel(t.Context(), b.ID)
	if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != http.StatusConflict {
		t.Errorf("cancel what has ended: %v", err)
	}
}

func (s *site) quota(t *testing.T) {
	before := s.asked()
	_, err := s.Chat.Completions.New(t.Context(), say("x [[mock:code=4028]]"))
	e, ok := errors.AsType[*openai.Error](err)
	if !ok || e.Code != "insufficient_quota" || e.StatusCode != http.StatusTooManyRequests && e.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v", err) // 503 if the pause is seen first
	}
	s.askedSince(t, before, 1)
}
