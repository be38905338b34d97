package worker_test

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestForgottenTasks has tasks active that no handler has: one whose dequeue reply was
// lost, so that its lease runs out, and one that a fail-over left without a lease.
func TestForgottenTasks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s: a lease must run out")
	}
	each(t, func(t *testing.T, l *line) {
		ids := map[string]string{}
		for _, name := range []string{"lost reply", "no lease"} {
			id := l.enqueue(tasks.Ask("bot", name), tasks.Options{})
			ids[name] = id
			if err := l.rdb.RPopLPush(t.Context(), "asynq:{default}:pending", "asynq:{default}:active").Err(); err != nil {
				t.Fatal(err)
			}
			if err := l.rdb.HSet(t.Context(), "asynq:{default}:t:"+id, "state", "active").Err(); err != nil {
				t.Fatal(err)
			}
		}
		lease := redis.Z{Score: float64(time.Now().Add(30 * time.Second).Unix()), Member: ids["lost reply"]}
		if err := l.rdb.ZAdd(t.Context(), "asynq:{default}:lease", lease).Err(); err != nil {
			t.Fatal(err)
		}
		l.work()
		for name, id := range ids {
			if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 {
				t.Errorf("%s: %+v", name, r)
			}
			awaittest.Until(t, name+" to be done in asynq", func() bool {
				info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetTaskInfo(tasks.QueueDefault, id)
				return err == nil && info.State == asynq.TaskStateCompleted && info.Retried == 0
			})
		}
	})
}
