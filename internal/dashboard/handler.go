package dashboard

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Root is the path of the dashboard.
const Root = "/monitor"

// Config says what a dashboard shows, and to whom. Redis is not closed by the handler.
type Config struct {
	Redis   redis.UniversalClient
	Results *results.Store // of the same Redis
	Tasks   *tasks.Client  // of the same Redis

	// Token returns the token that callers must present. nil: no token, and only requests to a loopback name are
	// served, which no page of another site can make.
	Token func(context.Context) (string, error)

	// Write permits pausing, running, canceling and deleting.
	Write bool

	// Prometheus is the base URL of the server that scrapes the workers; nil: no charts.
	Prometheus *url.URL

	Log *slog.Logger
}

type handler struct {
	Config
	asynqmon  http.Handler
	inspector *asynq.Inspector
	client    *http.Client // for Prometheus
}

// New returns the handler for Root and everything below it. It makes no connection: a Redis that does not answer is an
// error on the pages.
func New(c Config) http.Handler {
	h := &handler{
		Config:    c,
		inspector: asynq.NewInspectorFromRedisClient(c.Redis),
		client: &http.Client{Timeout: chartTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // asks only at --prometheus-addr
		}},
	}
	options := asynqmon.Options{
		RootPath:         Root,
		RedisConnOpt:     shared{c.Redis},
		PayloadFormatter: asynqmon.PayloadFormatterFunc(plain),
		ResultFormatter:  asynqmon.ResultFormatterFunc(plain),
		ReadOnly:         !c.Write,
	}
	if c.Prometheus != nil {
		options.PrometheusAddress = "set" // only whether it is empty matters
	}
	h.asynqmon = asynqmon.New(options)

	const queue = Root + "/api/queues/{queue}"
	mux := http.NewServeMux()
	mux.HandleFunc(Root+"/", h.page)
	mux.HandleFunc(Root+"/static/", h.static)
	mux.Handle(Root+"/api/", h.asynqmon)
	mux.HandleFunc("GET "+queue+"/tasks/{id}", h.task)
	mux.HandleFunc("GET "+queue+"/{list}", h.list)
	mux.HandleFunc("GET "+Root+"/api/servers", h.servers)
	mux.HandleFunc("GET "+Root+"/api/metrics", h.charts)
	if c.Write {
		mux.HandleFunc("POST "+queue+"/{list}", h.operateList)
		mux.HandleFunc("DELETE "+queue+"/{list}", h.operateList)
		mux.HandleFunc("POST "+queue+"/{list}/{task}", h.operateTask)
		mux.HandleFunc("DELETE "+queue+"/{list}/{task}", h.operateTask)
	}
	return h.locked(mux)
}

// shared gives asynqmon the existing client. asynqmon closes its client when it is closed itself, so it never is.
type shared struct{ client redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (s shared) MakeRedisClient() any { return s.client }

// plain shows a payload or a result as it is. tasks.go replaces those of chats later, when it knows the task's id.
func plain(_ string, data []byte) string {
	if !utf8.Valid(data) {
		return fmt.Sprintf("(%d bytes that are no text)", len(data))
	}
	return string(data)
}

// redisTimeout bounds the reads of Redis for one page.
const redisTimeout = 10 * time.Second
