package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/cozeq/cozeq/internal/localredis"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// session is what commands work with: a store of tasks and results, shared or
// embedded, and where it is wanted a worker in this process.
type session struct {
	rdb     redis.UniversalClient
	results *results.Store
	tasks   *tasks.Client

	version  string            // of the program
	embedded *localredis.Store // nil: a shared Redis
	remote   *remoteRedis      // nil: the embedded one
	worker   *ownWorker        // nil: other processes do the work
	ready    readiness         // of worker
	closers  []func()
}

var (
	errNeedsRedis  = errors.New("needs a shared redis: --redis or REDIS_URL")
	errNeedsWorker = errors.New("is for the worker of this process: add --with-worker, or set it where the workers run")
)

// openSession opens the shared Redis that the settings name, else the embedded
// store.
func openSession(ctx context.Context, c config, concurrency int, logger *slog.Logger) (*session, error) {
	if c.shared() {
		return openShared(ctx, c, concurrency, logger)
	}
	return openEmbedded(c, concurrency, logger)
}

// openEmbedded starts a store in this process.
func openEmbedded(c config, concurrency int, logger *slog.Logger) (*session, error) {
	keys, err := c.keys()
	if err != nil {
		return nil, err
	}
	store, err := localredis.Start(localredis.PoolSize(max(32, poolSize(concurrency))))
	if err != nil {
		return nil, err
	}
	redis.SetLogger(redisLog{logger})
	s := newSession(store.Client(), keys)
	s.embedded, s.version = store, c.version
	s.closers = append(s.closers, func() { store.Close() })
	return s, nil
}

// openShared opens the shared Redis, and fails soon if it does not answer.
func openShared(ctx context.Context, c config, concurrency int, logger *slog.Logger) (*session, error) {
	s, err := newShared(c, concurrency, logger)
	if err != nil {
		return nil, err
	}
	if err := s.remote.ping(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// newShared makes a session over the shared Redis that the settings name; nothing is dialled.
func newShared(c config, concurrency int, logger *slog.Logger) (*session, error) {
	keys, err := c.keys()
	if err != nil {
		return nil, err
	}
	remote, err := c.redis(concurrency, logger)
	if err != nil {
		return nil, err
	}
	s := newSession(remote.client, keys)
	s.remote, s.version = remote, c.version
	s.closers = append(s.closers, func() { remote.client.Close() })
	return s, nil
}

// newSession is a session whose questions and answers are encrypted with these keys; nil:
// they are not.
func newSession(rdb redis.UniversalClient, keys *results.Keys) *session {
	store := results.NewStore(rdb)
	store.Keys = keys
	s := &session{rdb: rdb, results: store, tasks: tasks.NewClient(rdb, store)}
	s.closers = append(s.closers, func() { store.Close() })
	return s
}

// close drains the worker, if there is one, and gives everything back, last
// opened first. The subscription of waiters has to end before its Redis does.
func (s *session) close() {
	if s.worker != nil {
		s.worker.drain()
	}
	for _, c := range s.closers {
		c()
	}
}

// ownWorker is a worker in this process, running.
type ownWorker struct {
	*worker.Worker
	stop context.CancelFunc
	done chan struct{}
}

// startWorker starts a worker on the session. It is not ctx that ends it but
// drain; failed is told if it ends by itself.
func (s *session) startWorker(ctx context.Context, a account, cfg worker.Config, failed func(error)) error {
	client, credentials, closeIdle := a.clients(cfg.Concurrency)
	cfg.Redis, cfg.Keys, cfg.Coze, cfg.Credentials = s.rdb, s.results.Keys, client, credentials
	traces := startTraces(ctx, s.version, cfg.Logger)
	traces.use(&cfg)
	w, err := worker.New(cfg)
	if err != nil {
		traces.close()
		return err
	}
	s.ready.set(w.Ready) // before it logs that it is serving: who reads that finds it ready
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	o := &ownWorker{Worker: w, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer closeIdle()
		defer traces.close()
		if err := w.Run(ctx); err != nil {
			failed(err)
		}
	}()
	s.worker = o
	return nil
}

// drain takes no more tasks, lets those in flight end within the worker's Drain,
// and returns when all handlers have. It may be called more than once.
func (o *ownWorker) drain() {
	o.stop()
	<-o.done
}

// defaultDrain is how long chats in flight may go on after the first signal.
const defaultDrain = 30 * time.Second

// drainOf is the worker's Drain for a flag: 0 means not to wait.
func drainOf(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// sharedOf opens the shared Redis for a command that only looks after it.
func sharedOf(cmd *cobra.Command, s *streams) (*session, error) {
	cfg := configOf(cmd, s)
	level, err := cfg.level(slog.LevelWarn)
	if err != nil {
		return nil, err
	}
	return openShared(cmd.Context(), cfg, 1, newLogger(s.Err, s.ErrTTY, level))
}

// batches are the batches of the session's Redis.
func (s *session) batches() *tasks.Batches { return tasks.NewBatches(s.rdb, s.tasks) }
