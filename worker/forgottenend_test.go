package worker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestForgottenEnd has Redis forget the end of a task's record, but not that asynq has ended the task: asynq's write came
// again after Redis had lost power. Nobody has the task then. It is put back, and its chat is looked up.
func TestForgottenEnd(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		inspector := asynq.NewInspectorFromRedisClient(l.rdb)
		shown := l.enqueue(tasks.Ask("bot", "shown by asynq after its end"), tasks.Options{})
		gone := l.enqueue(tasks.Ask("bot", "gone from asynq after its end"), tasks.Options{Retention: -1})
		turn := tasks.Ask("bot", "a turn")
		turn.ConversationKey = "key"
		ids := []string{shown, gone, l.enqueue(turn, tasks.Options{})}
		l.work()
		before := make(map[string]map[string]string)
		for _, id := range ids {
			awaittest.Until(t, "the chat of "+id, func() bool {
				r, err := l.store.Get(t.Context(), id)
				return err == nil && r.ChatID != ""
			})
			before[id] = l.rdb.HGetAll(t.Context(), results.Key(id)).Val()
		}
		for _, id := range ids {
			l.completed(id)
			awaittest.Until(t, "asynq's end of "+id, func() bool {
				info, err := inspector.GetTaskInfo(tasks.QueueDefault, id)
				return errors.Is(err, asynq.ErrTaskNotFound) || err == nil && info.State == asynq.TaskStateCompleted
			})
			l.rdb.Del(t.Context(), results.Key(id))
			if err := l.rdb.HSet(t.Context(), results.Key(id), before[id]).Err(); err != nil {
				t.Fatal(err)
			}
			if r, err := l.store.Get(t.Context(), id); err != nil || r.Status != results.Running {
				t.Fatalf("got %+v, %v, want a running record", r, err)
			}
		}
		beats := redistest.Keys(t, l.rdb, "cozeq:beat:*")
		if len(beats) != 1 {
			t.Fatalf("beats %q, want one", beats)
		}
		l.rdb.Set(t.Context(), beats[0], 0, time.Hour)
		for _, id := range ids {
			l.completed(id)
		}
		l.asked(len(ids))
	}, cozetest.With(cozetest.Config{Latency: 1500 * time.Millisecond}))
}
