package worker_test

import (
	"testing"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestBusyAfterPause has a conversation busy after a long pause for a quota.
func TestBusyAfterPause(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	id := l.enqueue(tasks.Ask("bot", "one [[mock:code=4011 times=1]] [[mock:error=4016 times=1]]"), tasks.Options{})
	l.work()
	awaittest.Until(t, "the pause", func() bool {
		r, err := l.store.Get(t.Context(), id)
		return err == nil && r.Status == results.Waiting
	})
	if since := l.rdb.HGet(t.Context(), results.Key(id), "waiting_since").Val(); since != "" {
		t.Errorf("a pause for a quota is counted as one for a busy conversation: since %s", since)
	}
}

// TestForeignProducerWithoutRetries enqueues a task that asynq archives at its first
// error: its record ends with it.
func TestForeignProducerWithoutRetries(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	client := asynq.NewClientFromRedisClient(l.rdb)
	payload := `{"v":1,"bot_id":"bot","additional_messages":[{"role":"user","content":"one [[mock:code=4013 times=1]]"}]}`
	if _, err := client.Enqueue(asynq.NewTask(tasks.TypeChat, []byte(payload)), asynq.TaskID("x"), asynq.MaxRetry(0)); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "a record", func() bool { _, err := l.store.Get(t.Context(), "x"); return err == nil })
	awaittest.Until(t, "its end", func() bool {
		r, err := l.store.Get(t.Context(), "x")
		return err == nil && r.Status.Terminal()
	})
}
