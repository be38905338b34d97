package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/gateway"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/workertest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// site is a gateway over a Redis with a worker that asks a mock of Coze.
type site struct {
	t       *testing.T
	redis   redis.UniversalClient
	tasks   *tasks.Client
	mock    *cozetest.Server
	gateway *gateway.Gateway
	url     string
}

func newSite(t *testing.T, rdb redis.UniversalClient, c gateway.Config, mock cozetest.Config) *site {
	t.Helper()
	store := results.NewStore(rdb)
	t.Cleanup(func() { store.Close() })
	s := &site{t: t, redis: rdb, tasks: tasks.NewClient(store), mock: cozetest.New(t, cozetest.With(mock))}
	workertest.Start(t, rdb, s.mock.Client())
	s.serve(c)
	return s
}

func (s *site) serve(c gateway.Config) {
	c.Tasks = s.tasks
	if c.BotID == "" {
		c.BotID = "7461001"
	}
	var err error
	if s.gateway, err = gateway.New(c); err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(s.gateway)
	s.url = server.URL
	s.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := s.gateway.Close(); err != nil {
			s.t.Error(err)
		}
	})
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) decode(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%q: %v", a.body, err)
	}
	return m
}

// call sends a request. headers are "Name: value".
func (s *site) call(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// each runs a test on both stores.
func each(t *testing.T, c gateway.Config, f func(t *testing.T, s *site)) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) { f(t, newSite(t, rdb, c, cozetest.Config{})) })
}
