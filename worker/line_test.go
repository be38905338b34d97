package worker_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// line is the whole way of a task: a producer, a Redis, a worker, a Coze, and a
// waiter.
type line struct {
	t     *testing.T
	rdb   redis.UniversalClient
	fake  *cozetest.Server
	store *results.Store
	tasks *tasks.Client
}

func newLine(t *testing.T, rdb redis.UniversalClient, options ...cozetest.Option) *line {
	t.Helper()
	store := results.NewStore(rdb)
	t.Cleanup(func() { store.Close() })
	return &line{t: t, rdb: rdb, fake: cozetest.New(t, options...), store: store, tasks: tasks.NewClient(store)}
}

// each runs a test on both stores, beside others.
func each(t *testing.T, f func(t *testing.T, l *line), options ...cozetest.Option) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) { f(t, newLine(t, rdb, options...)) })
}

// work starts a worker; the function stops it and waits. The worker is stopped at
// the end of the test in any case.
func (l *line) work(change ...func(*worker.Config)) (stop func()) {
	l.t.Helper()
	client := l.fake.Client()
	client.HTTP = &http.Client{Transport: coze.NewTransport(32)}
	cfg := worker.Config{
		Redis:  l.rdb,
		Coze:   client,
		Logger: slog.New(slog.NewTextHandler(testWriter{l.t}, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Drain:  10 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	w, err := worker.New(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("worker: %v", err)
		}
		client.HTTP.CloseIdleConnections()
	}
	l.t.Cleanup(stop)
	return stop
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b))
	return len(b), nil
}

func (l *line) enqueue(chat *tasks.Chat, o tasks.Options) string {
	l.t.Helper()
	id, err := l.tasks.Enqueue(l.t.Context(), chat, o)
	if err != nil {
		l.t.Fatal(err)
	}
	return id
}

func (l *line) wait(id string) *results.Result {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	r, err := l.store.Wait(ctx, id)
	if err != nil {
		now, _ := l.store.Get(l.t.Context(), id)
		l.t.Fatalf("wait for %s: %v (record: %+v)", id, err, now)
	}
	return r
}

// completed waits for a task and wants an answer.
func (l *line) completed(id string) {
	l.t.Helper()
	if r := l.wait(id); r.Status != results.Completed {
		l.t.Errorf("got %+v", r)
	}
}

// asked wants so many asks.
func (l *line) asked(times int) {
	l.t.Helper()
	if n := l.fake.Calls("/v3/chat"); n != times {
		l.t.Errorf("asked %d times, want %d", n, times)
	}
}

// probe makes the probe of every pause due.
func (l *line) probe() {
	l.t.Helper()
	if _, err := worker.ProbeNow(l.t.Context(), l.rdb); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) ask(question string) *results.Result {
	l.t.Helper()
	return l.wait(l.enqueue(tasks.Ask("bot", question), tasks.Options{}))
}
