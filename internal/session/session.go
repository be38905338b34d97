// Package session opens what commands work with: the tasks and results of a shared or an embedded Redis and, where it is
// wanted, a worker in this process. It also looks for workers that serve a queue.
package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/cozeq/cozeq/internal/attachment"
	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/internal/remoteredis"
	"github.com/cozeq/cozeq/internal/settings"
	"github.com/cozeq/cozeq/internal/telemetry"
	"github.com/cozeq/cozeq/internal/terminal"
	"github.com/cozeq/cozeq/internal/tracing"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
	"github.com/cozeq/cozeq/worker"
)

// Session is what commands work with: a store of tasks and results, shared or
// embedded, and where it is wanted a worker in this process.
type Session struct {
	Redis   redis.UniversalClient
	Results *results.Store
	Tasks   *tasks.Client

	Version  string                 // of the program
	Embedded *embeddedredis.Store   // nil: a shared Redis
	Remote   *remoteredis.Server    // nil: the embedded one
	Worker   *ownWorker             // nil: other processes do the work
	Ready    readiness              // of worker
	Uploads  *prometheus.CounterVec // of Uploader's files, by outcome
	closers  []func()

	traced bool // Traces was called
	traces trace.TracerProvider
}

// ErrNeedsRedis ends the message of a flag that is of no use alone.
var ErrNeedsRedis = errors.New("needs a shared redis: --redis or REDIS_URL")

// Open opens the shared Redis of the settings, or the embedded store if they name none.
func Open(ctx context.Context, c settings.Config, concurrency int, logger *slog.Logger) (*Session, error) {
	if c.Shared() {
		return OpenShared(ctx, c, concurrency, logger)
	}
	return OpenEmbedded(c, concurrency, logger)
}

func OpenEmbedded(c settings.Config, concurrency int, logger *slog.Logger) (*Session, error) {
	keys, err := c.Keys()
	if err != nil {
		return nil, err
	}
	store, err := embeddedredis.Start(embeddedredis.PoolSize(max(32, settings.PoolSize(concurrency))))
	if err != nil {
		return nil, err
	}
	redis.SetLogger(remoteredis.Log{Logger: logger})
	s := New(store.Client(), keys)
	s.Embedded, s.Version = store, c.Version
	s.closers = append(s.closers, func() { store.Close() })
	return s, nil
}

// OpenShared opens the shared Redis, and fails soon if it does not answer.
func OpenShared(ctx context.Context, c settings.Config, concurrency int, logger *slog.Logger) (*Session, error) {
	s, err := NewShared(c, concurrency, logger)
	if err != nil {
		return nil, err
	}
	if err := s.Remote.Ping(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// NewShared makes a session over the shared Redis of the settings. It does not dial.
func NewShared(c settings.Config, concurrency int, logger *slog.Logger) (*Session, error) {
	keys, err := c.Keys()
	if err != nil {
		return nil, err
	}
	remote, err := c.Redis(concurrency, logger)
	if err != nil {
		return nil, err
	}
	s := New(remote.Client, keys)
	s.Remote, s.Version = remote, c.Version
	s.closers = append(s.closers, func() { remote.Client.Close() })
	return s, nil
}

// New makes a session. Questions and answers are encrypted with the keys, unless they are nil.
func New(rdb redis.UniversalClient, keys *results.Keys) *Session {
	store := results.NewStore(rdb)
	store.Keys = keys
	s := &Session{Redis: rdb, Results: store, Tasks: tasks.NewClient(store), Uploads: telemetry.NewUploads()}
	s.closers = append(s.closers, func() { store.Close() })
	return s
}

// Close drains the worker, if there is one, and closes the rest. The subscription of waiters ends before its Redis.
func (s *Session) Close() {
	if s.Worker != nil {
		s.Worker.Drain()
	}
	for _, c := range s.closers {
		c()
	}
}

// Over reports whether ctx has ended. Connections have ctx's own deadline, and may fail of it a moment before ctx does.
func Over(ctx context.Context) bool {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

func (s *Session) Uploader(a settings.Account) *attachment.Uploader {
	client, closeIdle := a.Client(attachment.Concurrency)
	s.closers = append(s.closers, closeIdle)
	return &attachment.Uploader{Coze: client, Redis: s.Redis, Count: func(outcome string) { s.Uploads.WithLabelValues(outcome).Inc() }}
}

// ownWorker is a worker in this process, running.
type ownWorker struct {
	*worker.Worker
	stop context.CancelFunc
	done chan struct{}
}

// Traces makes spans for the collector that the environment names; nil where it names none. Close sends what is left.
func (s *Session) Traces(ctx context.Context, logger *slog.Logger) trace.TracerProvider {
	if !s.traced {
		t := tracing.Start(ctx, s.Version, logger)
		s.traced, s.traces, s.closers = true, t.Provider(), append(s.closers, t.Close)
	}
	return s.traces
}

// StartWorker starts a worker on the session. Drain ends it, not ctx; failed is called if it ends by itself.
func (s *Session) StartWorker(ctx context.Context, a settings.Account, cfg worker.Config, failed func(error)) error {
	client, credentials, closeIdle := a.Clients(cfg.Concurrency)
	cfg.Redis, cfg.Keys, cfg.Coze, cfg.Credentials = s.Redis, s.Results.Keys, client, credentials
	cfg.TracerProvider = s.Traces(ctx, cfg.Logger)
	w, err := worker.New(cfg)
	if err != nil {
		return err
	}
	s.Ready.set(w.Ready) // before the log says that it serves: a reader of that line finds it ready
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	o := &ownWorker{Worker: w, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer closeIdle()
		if err := w.Run(ctx); err != nil {
			failed(err)
		}
	}()
	s.Worker = o
	return nil
}

// Drain takes no more tasks, lets those in flight finish within the worker's Drain, and returns when all handlers have. It
// may be called more than once.
func (o *ownWorker) Drain() {
	o.stop()
	<-o.done
}

// DrainOf is the worker's Drain for a flag: 0 means not to wait.
func DrainOf(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// OpenFor opens the shared Redis for a command that only looks after it.
func OpenFor(cmd *cobra.Command, s *terminal.Streams) (*Session, error) {
	cfg := settings.Of(cmd, s)
	logger, err := cfg.Logger(s.Err, s.ErrTTY, slog.LevelWarn)
	if err != nil {
		return nil, err
	}
	return OpenShared(cmd.Context(), cfg, 1, logger)
}

func (s *Session) Batches() *batches.Client { return batches.New(s.Tasks) }
