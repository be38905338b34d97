package openai_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/apikey"
	"github.com/cozeq/cozeq/internal/openai"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/submit"
	"github.com/cozeq/cozeq/internal/watch"
	"github.com/cozeq/cozeq/internal/workertest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// site is the API over a Redis with a worker that asks a mock of Coze.
type site struct {
	t       *testing.T
	redis   redis.UniversalClient
	tasks   *tasks.Client
	mock    *cozetest.Server
	handler *openai.Handler
	url     string
}

type options struct {
	mock   cozetest.Config
	config openai.Config
	key    *apikey.Key                               // of all requests
	wrap   func(http.Handler) http.Handler           // around the API
	coze   func(http.RoundTripper) http.RoundTripper // between the worker and the mock
}

func newSite(t *testing.T, rdb redis.UniversalClient, o options) *site {
	t.Helper()
	store := results.NewStore(rdb)
	t.Cleanup(func() { store.Close() })
	s := &site{t: t, redis: rdb, tasks: tasks.NewClient(store), mock: cozetest.New(t, cozetest.With(o.mock))}
	client := s.mock.Client()
	if o.coze != nil {
		client.HTTP.Transport = o.coze(client.HTTP.Transport)
	}
	workertest.Start(s.t, s.redis, client)
	s.handler, s.url = s.serve(o)
	return s
}

// serve starts a server of the API, one of several perhaps.
func (s *site) serve(o options) (*openai.Handler, string) {
	c := o.config
	c.Tasks = s.tasks
	c.Submit = submit.New(submit.Config{Tasks: s.tasks, Limits: apikey.NewLimits(s.tasks.Results())})
	hub := watch.New(s.tasks.Results())
	s.t.Cleanup(func() { hub.Close() })
	c.Hub = hub
	c.Log = slog.New(slog.NewTextHandler(s.t.Output(), nil))
	if c.Models.Aliases == nil {
		c.Models.Aliases = map[string]string{"support": bot, "vendor/sales:v1": "7461002"}
	}
	h := openai.New(c)
	mux := http.NewServeMux()
	h.Register(mux)
	var served http.Handler = mux
	if o.key != nil {
		served = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mux.ServeHTTP(w, r.WithContext(apikey.NewContext(r.Context(), o.key)))
		})
	}
	if o.wrap != nil {
		served = o.wrap(served)
	}
	server := httptest.NewServer(served)
	s.t.Cleanup(func() {
		h.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return h, server.URL
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("%q: %v", r.body, err)
	}
	return m
}

// failure is the error in a reply, as OpenAI's schema has it.
type failure struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func (r reply) failure(t *testing.T) failure {
	t.Helper()
	var body struct {
		Error *failure `json:"error"`
	}
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || body.Error == nil {
		t.Fatalf("%q: %v, want an error", r.body, err)
	}
	return *body.Error
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// call sends a request. headers are "Name: value".
func (s *site) call(method, path, body string, headers ...string) reply {
	s.t.Helper()
	r, err := s.try(s.t.Context(), s.url, method, path, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *site) try(ctx context.Context, url, method, path, body string, headers ...string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text)}, err
}

// ask is the body of a chat completion with one question.
func ask(question string, more ...string) string {
	q, _ := json.Marshal(question)
	return `{"model":"support","messages":[{"role":"user","content":` + string(q) + `}]` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func respond(question string, more ...string) string {
	q, _ := json.Marshal(question)
	return `{"model":"support","input":` + string(q) + strings.Join(append([]string{""}, more...), ",") + `}`
}

// each runs a test on both stores.
func each(t *testing.T, o options, f func(t *testing.T, s *site)) {
	t.Parallel() // most of them wait
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) { f(t, newSite(t, rdb, o)) })
}

func embedded(t *testing.T, o options) *site {
	t.Parallel()
	return newSite(t, redistest.Embedded(t), o)
}
