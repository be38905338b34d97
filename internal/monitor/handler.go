package monitor

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

// Root is the path that the dashboard is served under.
const Root = "/monitor"

// Config says what a dashboard shows, and to whom.
type Config struct {
	Redis   redis.UniversalClient // the caller's to close
	Results *results.Store        // of the same Redis
	Tasks   *tasks.Client         // of the same Redis

	// Token gives the token to ask for. nil asks for none: then only who calls this
	// machine by its loopback name is let in, which no page of another site can.
	Token func(context.Context) (string, error)

	// Write lets people pause, run, cancel and delete.
	Write bool

	// Prometheus is the base URL of the server that scrapes the workers; nil: there
	// is no page of charts.
	Prometheus *url.URL

	Log *slog.Logger
}

type handler struct {
	Config
	asynqmon  http.Handler
	inspector *asynq.Inspector
	client    *http.Client // for Prometheus
}

// New returns the handler for Root and all below it. It dials nobody: a Redis that
// does not answer is an error on the pages.
func New(c Config) http.Handler {
	h := &handler{
		Config:    c,
		inspector: asynq.NewInspectorFromRedisClient(c.Redis),
		client: &http.Client{Timeout: chartTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // it asks where --prometheus-addr says, and nowhere else
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
		options.PrometheusAddress = "set" // its pages look only whether there is one
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

// shared gives asynqmon the client that there is. asynqmon takes a client of its own
// for each connection option and closes it with itself, so it is never closed.
type shared struct{ client redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (s shared) MakeRedisClient() any { return s.client }

// plain shows a payload or a result as it is. Those of chats are told from the
// others later, with the task's id at hand.
func plain(_ string, data []byte) string {
	if !utf8.Valid(data) {
		return fmt.Sprintf("(%d bytes that are no text)", len(data))
	}
	return string(data)
}

// redisTimeout bounds what is read of Redis for one page.
const redisTimeout = 10 * time.Second
