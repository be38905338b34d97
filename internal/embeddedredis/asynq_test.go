package embeddedredis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

// The queue engine itself: enqueue, retry, unique lock, archive, inspector and shutdown on the embedded store.
func TestAsynq(t *testing.T) {
	rdb := start(t)
	client := asynq.NewClientFromRedisClient(rdb)
	inspector := asynq.NewInspectorFromRedisClient(rdb)

	ran := make(chan string, 10)
	srv := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency:              4,
		TaskCheckInterval:        10 * time.Millisecond,
		DelayedTaskCheckInterval: 10 * time.Millisecond,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return 0 },
		LogLevel:                 asynq.FatalLevel,
	})
	err := srv.Start(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		n, _ := asynq.GetRetryCount(ctx)
		id, _ := asynq.GetTaskID(ctx)
		ran <- id
		if task.Type() == "fails once" && n == 0 {
			return errors.New("not yet")
		}
		if task.Type() == "fails" {
			return asynq.SkipRetry
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}

	enqueue := func(kind string, opts ...asynq.Option) error {
		t.Helper()
		_, err := client.EnqueueContext(t.Context(), asynq.NewTask(kind, []byte(`{}`)), opts...)
		return err
	}
	for _, kind := range []string{"works", "fails once", "fails"} {
		if err := enqueue(kind, asynq.TaskID(kind), asynq.Retention(time.Hour), asynq.MaxRetry(3)); err != nil {
			t.Fatal(err)
		}
	}
	runs := map[string]int{}
	for range 4 {
		runs[<-ran]++
	}
	if runs["works"] != 1 || runs["fails once"] != 2 || runs["fails"] != 1 {
		t.Errorf("runs: %v", runs)
	}

	if err := enqueue("later", asynq.TaskID("later"), asynq.ProcessIn(time.Hour), asynq.Unique(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := enqueue("later", asynq.Unique(time.Hour)); !errors.Is(err, asynq.ErrDuplicateTask) {
		t.Errorf("second unique task: %v, want ErrDuplicateTask", err)
	}
	if err := enqueue("later", asynq.TaskID("later")); !errors.Is(err, asynq.ErrTaskIDConflict) {
		t.Errorf("second task of one id: %v, want ErrTaskIDConflict", err)
	}
	if err := inspector.RunTask("default", "later"); err != nil {
		t.Fatal(err)
	}
	if id := <-ran; id != "later" {
		t.Errorf("ran %q, want the scheduled task", id)
	}

	srv.Shutdown()
	info, err := inspector.GetQueueInfo("default")
	if err != nil {
		t.Fatal(err)
	}
	if info.Completed != 2 || info.Archived != 1 || info.Active != 0 || info.Retry != 0 {
		t.Errorf("queue after shutdown: %+v", *info)
	}
}
