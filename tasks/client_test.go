package tasks_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/queue"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func TestEnqueue(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		chat := tasktest.Turn("talk")
		chat.CustomID, chat.BatchID = "row 1", "b1"
		asked := time.Now().Add(-time.Minute)
		id, err := l.Tasks.Enqueue(t.Context(), chat, tasks.Options{
			Queue: tasks.QueueLow, Attempts: 3, Timeout: 2 * time.Minute, Retention: time.Minute,
			ConversationID: "c1", ChatID: "chat1", AskedAt: asked,
		})
		if err != nil {
			t.Fatal(err)
		}
		if tasks.ValidateID(id) != nil || len(id) != 36 || id[14] != '7' {
			t.Errorf("id %q is no UUID of version 7", id)
		}
		info, err := l.Inspector.GetTaskInfo(tasks.QueueLow, id)
		if err != nil {
			t.Fatal(err)
		}
		if info.MaxRetry != 4 || info.Timeout != 2*time.Minute+queue.Grace || info.Retention != time.Minute || info.State != asynq.TaskStatePending {
			t.Errorf("got %+v", info)
		}
		a := l.Begin(id)
		if r := a.Result; r.CustomID != "row 1" || r.BatchID != "b1" || r.BotID != "bot" || r.UserID != tasks.DefaultUserID ||
			r.Queue != tasks.QueueLow || r.Lane != tasktest.Talk || r.ConversationKey != "talk" || r.CreatedAt.IsZero() ||
			r.ConversationID != "c1" || r.ChatID != "chat1" || !a.AskedAt.Equal(results.At(asked).Time) {
			t.Errorf("got %+v, asked at %v", r, a.AskedAt)
		}

		id, err = l.Tasks.Enqueue(t.Context(), tasks.Ask("bot", "why?"), tasks.Options{Retention: -1})
		if err != nil {
			t.Fatal(err)
		}
		if info, err = l.Inspector.GetTaskInfo(tasks.QueueDefault, id); err != nil {
			t.Fatal(err)
		}
		if info.MaxRetry != tasks.DefaultAttempts+1 || info.Timeout != tasks.DefaultTimeout+queue.Grace || info.Retention != 0 {
			t.Errorf("got %+v", info)
		}
		if r, err := l.Store.Get(t.Context(), id); err != nil || r.Status != results.Queued || r.Lane != "" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// An id can be used once for as long as its result is kept, wherever its task is.
func TestDuplicate(t *testing.T) {
	far := time.Now().Add(time.Hour)
	tests := []struct {
		name  string
		reach func(l *tasktest.Line)
	}{
		{"queued", func(l *tasktest.Line) {}},
		{"running", func(l *tasktest.Line) { l.Take("t1"); l.Begin("t1") }},
		{"waiting for a retry", func(l *tasktest.Line) { l.Take("t1"); l.Begin("t1"); l.Leave("t1", "retry", far) }},
		{"ended, asynq not told yet", func(l *tasktest.Line) { l.Take("t1"); l.Answer("t1") }},
		{"completed", func(l *tasktest.Line) { l.Take("t1"); l.Answer("t1"); l.Leave("t1", "completed", far) }},
		{"archived", func(l *tasktest.Line) { l.Take("t1"); l.Answer("t1"); l.Leave("t1", "archived", far) }},
		{"completed and forgotten by asynq", func(l *tasktest.Line) { l.Take("t1"); l.Answer("t1"); l.Leave("t1", "", far) }},
	}
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				redistest.Flush(t, l.Redis)
				l := tasktest.New(t, l.Redis)
				l.Enqueue(tasks.Ask("bot", "why?"), "t1")
				tt.reach(l)
				state, status := l.State("t1"), l.Status("t1")
				for _, o := range []tasks.Options{{ID: "t1"}, {ID: "t1", Queue: tasks.QueueCritical}} {
					id, err := l.Tasks.Enqueue(t.Context(), tasks.Ask("bot", "why not?"), o)
					if !errors.Is(err, tasks.ErrDuplicate) || id != "t1" {
						t.Errorf("queue %q: %q, %v; want ErrDuplicate", o.Queue, id, err)
					}
				}
				if _, err := l.Tasks.Enqueue(t.Context(), tasktest.Turn("talk"), tasks.Options{ID: "t1"}); !errors.Is(err, tasks.ErrDuplicate) {
					t.Errorf("in a lane: %v", err)
				}
				l.Members()
				l.States("t1", state)
				if now := l.Status("t1"); now != status {
					t.Errorf("it is %s, was %s", now, status)
				}
				if _, err := l.Inspector.GetTaskInfo(tasks.QueueCritical, "t1"); err == nil {
					t.Error("it is in two queues")
				}
			})
		}
	})
}

// A task that asynq only keeps to be looked at does not hold its id once the result
// is forgotten: archived ones are kept for 90 days, results for one.
func TestResultForgotten(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		for _, state := range []string{"completed", "archived"} {
			for _, key := range []string{"", "talk"} {
				id := state + key
				l.Enqueue(tasktest.Turn(key), id)
				l.Take(id)
				l.Answer(id)
				l.Leave(id, state, time.Now().Add(time.Hour))
				if key != "" {
					l.Must(l.Lanes.Leave(t.Context(), tasktest.Place(id)))
				}
				l.Must(l.Store.Delete(t.Context(), id))
				l.Enqueue(tasktest.Turn(key), id)
				l.States(id, "pending")
				l.Take(id)
				l.Leave(id, "", time.Time{})
				if key != "" {
					l.Members(id)
					l.Must(l.Lanes.Leave(t.Context(), tasktest.Place(id)))
				}
			}
		}
	})
}

// A record that is lost while its task waits is made again.
func TestRecordLost(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		l.Enqueue(tasks.Ask("bot", "why?"), "t1")
		if err := l.Store.Delete(t.Context(), "t1"); err != nil {
			t.Fatal(err)
		}
		l.Enqueue(tasks.Ask("bot", "why?"), "t1")
		l.States("t1", "pending")
		if n := l.Redis.LLen(t.Context(), "asynq:{default}:pending").Val(); n != 1 {
			t.Errorf("%d tasks", n)
		}
		if s := l.Status("t1"); s != results.Queued {
			t.Errorf("it is %s", s)
		}
	})
}
