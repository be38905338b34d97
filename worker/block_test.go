package worker_test

import (
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/runbatch"
	"github.com/cozeq/cozeq/internal/tally"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
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
				awaittest.Until(t, "the failed turn to be archived", func() bool { return l.queue().Archived == 1 })
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
					awaittest.Until(t, "the second to be answered", func() bool {
						r, err := l.store.Get(t.Context(), ids[1])
						return err == nil && r.Status == results.Completed && r.Attempts == 1
					})
				}
				l.completed(ids[2])
			})
		})
	}
}

// TestAnsweredIsNowhereFailed: a row of a run fails and holds its conversation up, so asynq
// archives it, and the run collects its record. To run it there by hand does not make it
// vanish: its answer would reach nobody. When the run asks the row again it leaves the archive.
func TestAnsweredIsNowhereFailed(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.rules(cozetest.Rule{Contains: "one", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4014}})
		bs := runbatch.New(l.tasks)
		if err := bs.Register(t.Context(), batches.Spec{ID: "r", Rows: 1}, nil); err != nil {
			t.Fatal(err)
		}
		chat := tasks.Ask("bot", "one")
		chat.BatchID, chat.ConversationKey, chat.OnTurnFailure = "r", "talk", tasks.TurnBlock
		l.work()
		r := l.wait(l.enqueue(chat, tasks.Options{ID: "r-1", Retention: -1}))
		if r.Status != results.Failed {
			t.Fatalf("got %+v", r)
		}
		awaittest.Until(t, "the failed row to be archived", func() bool { return l.queue().Archived == 1 })
		if _, err := l.tasks.Cancel(t.Context(), "r-1"); err != nil { // as a run does: nobody will decide
			t.Fatal(err)
		}
		if err := bs.Release(t.Context(), []*results.Result{r}); err != nil {
			t.Fatal(err)
		}
		inspector := asynq.NewInspectorFromRedisClient(l.rdb)
		if err := inspector.RunTask(tasks.QueueDefault, "r-1"); err != nil {
			t.Fatal(err)
		}
		awaittest.Until(t, "the row to be archived again", func() bool {
			info, err := inspector.GetTaskInfo(tasks.QueueDefault, "r-1")
			return err == nil && info.State == asynq.TaskStateArchived && strings.Contains(info.LastErr, "--retry-failed")
		})
		l.asked(1)
		known := runbatch.NewRows(1)
		known.Set(tally.Mark{Batch: "r", Row: 1, Attempt: 2, Status: results.Queued})
		if err := bs.Register(t.Context(), batches.Spec{ID: "r", Rows: 1}, known); err != nil {
			t.Fatal(err)
		}
		l.completed(l.enqueue(chat, tasks.Options{ID: "r-1.2", Retention: -1}))
		if n := l.queue().Archived; n != 0 {
			t.Errorf("%d archived, though the row has its answer", n)
		}
	})
}
