// Package workertest runs a worker for tests of what stands in front of the queue.
package workertest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// Start runs a worker until the test ends, and returns once it is seen in Redis.
func Start(t *testing.T, rdb redis.UniversalClient, client *coze.Client) {
	t.Helper()
	w, err := worker.New(worker.Config{Redis: rdb, Coze: client, Concurrency: 16, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	Run(t, w.Run)
	awaittest.Until(t, "the worker is seen", func() bool {
		missing, err := asynqx.Unserved(rdb, []string{tasks.QueueDefault})
		return err == nil && missing == ""
	})
}

// Run runs a process until the test ends, and wants it to end well.
func Run(t *testing.T, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
