package worker_test

import (
	"testing"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestLostRecord loses a task's record while the task is in the queue. What the record said of an earlier ask is lost with
// it, so the answer is marked. A task that another program has enqueued never had a record.
func TestLostRecord(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		lost := l.enqueue(tasks.Ask("bot", "lost"), tasks.Options{})
		if err := l.rdb.Del(t.Context(), results.Key(lost)).Err(); err != nil {
			t.Fatal(err)
		}
		foreign := asynq.NewTask(tasks.TypeChat, []byte(`{"v":1,"bot_id":"bot","additional_messages":[{"role":"user","content":"foreign"}]}`))
		if _, err := asynq.NewClientFromRedisClient(l.rdb).Enqueue(foreign, asynq.TaskID("foreign"), asynq.Queue(tasks.QueueDefault), asynq.MaxRetry(4)); err != nil {
			t.Fatal(err)
		}
		l.work()
		for id, marked := range map[string]bool{lost: true, "foreign": false} {
			var r *results.Result
			awaittest.Until(t, "the end of "+id, func() bool {
				var err error
				r, err = l.store.Get(t.Context(), id)
				return err == nil && r.Status.Terminal()
			})
			if r.Status != results.Completed || r.PossibleDuplicate != marked {
				t.Errorf("%s: %s, possible_duplicate %v, want %v", id, r.Status, r.PossibleDuplicate, marked)
			}
		}
	})
}
