package worker_test

import (
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestBlockedTurns lets a failed turn hold its conversation up until it is run again
// by hand, or canceled.
func TestBlockedTurns(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{"run", "cancel"} {
		t.Run(decision, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				l := newLine(t, rdb)
				l.rules(cozetest.Rule{Contains: "second", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4014}})
				l.work()
				var ids []string
				for _, question := range []string{"first", "second", "third"} {
					chat := tasks.Ask("bot", question)
					chat.ConversationKey, chat.OnTurnFailure = "talk", tasks.TurnBlock
					ids = append(ids, l.enqueue(chat, tasks.Options{}))
				}
				if r := l.wait(ids[1]); r.Status != results.Failed {
					t.Fatalf("got %+v", r)
				}
				inspector := asynq.NewInspectorFromRedisClient(rdb)
				until(t, "the failed turn to be archived", func() bool { return l.queue().Archived == 1 })
				if r, err := l.store.Get(t.Context(), ids[2]); err != nil || r.Status != results.Queued {
					t.Fatalf("the turn behind it: %+v, %v", r, err)
				}
				if decision == "cancel" {
					if status := l.cancel(ids[1]); status != results.Failed {
						t.Errorf("status %s", status)
					}
				} else {
					if err := inspector.RunTask(tasks.QueueDefault, ids[1]); err != nil {
						t.Fatal(err)
					}
					until(t, "the second to be answered", func() bool {
						r, err := l.store.Get(t.Context(), ids[1])
						return err == nil && r.Status == results.Completed && r.Attempts == 1
					})
				}
				if r := l.wait(ids[2]); r.Status != results.Completed {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}
