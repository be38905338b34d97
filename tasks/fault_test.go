package tasks_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// An Enqueue that failed, wherever that was, is repeated with the same id: there is
// one task, where it belongs.
func TestEnqueueFails(t *testing.T) {
	const id = "t1"
	long := tasks.Ask("bot", strings.Repeat("a", 4000))
	tests := []struct {
		name          string
		chat          *tasks.Chat
		before, after func(l *tasktest.Line) // before it, and between it and its repetition
		want          string
		members       []string
	}{
		{"plain", tasks.Ask("bot", "why?"), nil, nil, "pending", nil},
		{"long", long, nil, nil, "pending", nil},
		{"head of a lane", tasktest.Turn("talk"), nil, nil, "pending", []string{id}},
		{"behind a head", tasktest.Turn("talk"),
			func(l *tasktest.Line) { l.Enqueue(tasktest.Turn("talk"), "head") }, nil, "far", []string{"head", id}},
		{"behind a head that leaves", tasktest.Turn("talk"),
			func(l *tasktest.Line) { l.Enqueue(tasktest.Turn("talk"), "head") },
			func(l *tasktest.Line) {
				l.Take("head")
				l.Answer("head")
				l.Must(l.Lanes.Leave(l.T.Context(), tasktest.Place("head")))
				l.Leave("head", "", time.Time{})
			}, "pending", []string{id}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
				if tt.before != nil {
					tt.before(l)
				}
				enqueue := func(c *tasks.Client) error {
					got, err := c.Enqueue(context.Background(), tt.chat, tasks.Options{ID: id})
					if err == nil && got != id {
						t.Errorf("got %q", got)
					}
					return err
				}
				hit, err := tasktest.Faulty(t, l.Redis, n, what, enqueue)
				switch {
				case hit && what != redistest.Twice && err == nil:
					t.Error("a failed call went unnoticed")
				case (!hit || what == redistest.Twice) && err != nil:
					// go-redis sends again by itself; nobody is to hear of it.
					t.Errorf("got %v", err)
				}
				if tt.after != nil {
					tt.after(l)
				}
				// Its process is started again.
				if err := enqueue(tasks.NewClient(l.Store)); err != nil && !errors.Is(err, tasks.ErrDuplicate) {
					t.Errorf("the repetition gave %v", err)
				}
				l.States(id, tt.want)
				l.Members(tt.members...)
				if s := l.Status(id); s != results.Queued {
					t.Errorf("it is %s", s)
				}
				info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, id)
				if err != nil {
					t.Fatal(err)
				}
				chat, err := tasks.Decode(info.Payload)
				if err != nil {
					t.Fatal(err)
				}
				if len(tt.members) > 0 {
					at, _, err := l.Lanes.Rejoin(t.Context(), tasktest.Place(id), 0)
					if err != nil || at != chat.LaneSeq {
						t.Errorf("the payload says place %d, the lane %d, %v", chat.LaneSeq, at, err)
					}
				}
				if chat.HasBody() {
					a, err := record.New(l.Store).Begin(t.Context(), chat.Record(id, tasks.QueueDefault), true)
					if err != nil {
						t.Fatal(err)
					}
					if err := chat.SetBody(a.Body); err != nil {
						t.Error(err)
					}
				}
				queued := l.Redis.LLen(t.Context(), "asynq:{default}:pending").Val() + l.Redis.ZCard(t.Context(), "asynq:{default}:scheduled").Val()
				if want := max(1, int64(len(tt.members))); queued != want {
					t.Errorf("%d tasks in the queue, want %d", queued, want)
				}
				return hit
			})
		})
	}
}

// A Cancel that failed is repeated: the task has ended, is in no queue, and the
// next turn is on.
func TestCancelFails(t *testing.T) {
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
		for _, id := range []string{"head", "middle", "last"} {
			l.Enqueue(tasktest.Turn("talk"), id)
		}
		cancel := func(c *tasks.Client) error {
			_, err := c.Cancel(context.Background(), "head")
			return err
		}
		hit, _ := tasktest.Faulty(t, l.Redis, n, what, cancel)
		if err := cancel(l.Tasks); err != nil {
			t.Error(err)
		}
		if s := l.Status("head"); s != results.Canceled {
			t.Errorf("it is %s", s)
		}
		l.States("head", "none", "middle", "pending", "last", "far")
		l.Members("middle", "last")
		return hit
	})
}
