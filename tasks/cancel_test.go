package tasks_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func TestCancel(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	tests := []struct {
		name   string
		reach  func(l *tasktest.Line) // a, b and c are one conversation, alone has none
		id     string
		want   results.Status
		lane   []string
		states []string
	}{
		{"queued", nil, "alone", results.Canceled, []string{"a", "b", "c"},
			[]string{"alone", "none", "a", "pending"}},
		{"lane head", nil, "a", results.Canceled, []string{"b", "c"},
			[]string{"a", "none", "b", "pending", "c", "far"}},
		{"lane middle", nil, "b", results.Canceled, []string{"a", "c"},
			[]string{"a", "pending", "b", "none", "c", "far"}},
		{"lane end", nil, "c", results.Canceled, []string{"a", "b"},
			[]string{"a", "pending", "b", "far", "c", "none"}},
		{"running", func(l *tasktest.Line) { l.Take("a"); l.Begin("a") }, "a", results.Running, []string{"a", "b", "c"},
			[]string{"a", "active", "b", "far"}},
		{"taken, not begun", func(l *tasktest.Line) { l.Take("a") }, "a", results.Canceled, []string{"b", "c"},
			[]string{"a", "active", "b", "pending"}},
		{"waits without a chat", func(l *tasktest.Line) {
			l.Take("a")
			l.Must(l.Begin("a").Wait(l.T.Context(), &results.Failure{Class: "rate"}))
			l.Leave("a", "retry", soon)
		}, "a", results.Canceled, []string{"b", "c"},
			[]string{"a", "none", "b", "pending"}},
		{"waits with a chat", func(l *tasktest.Line) {
			l.Take("a")
			a := l.Begin("a")
			l.Must(errors.Join(a.Created(l.T.Context(), "c1", "chat1"), a.Wait(l.T.Context(), nil)))
			l.Leave("a", "retry", soon)
		}, "a", results.Waiting, []string{"a", "b", "c"},
			[]string{"a", "pending", "b", "far"}}, // a worker cancels it at Coze, now
		{"completed", func(l *tasktest.Line) {
			l.Take("a")
			l.Answer("a")
			l.Must(l.Lanes.Leave(l.T.Context(), tasktest.Place("a")))
			l.Leave("a", "completed", soon)
		}, "a", results.Completed, []string{"b", "c"},
			[]string{"a", "completed", "b", "pending"}},
	}
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				redistest.Flush(t, l.Redis)
				l := tasktest.New(t, l.Redis)
				for _, id := range []string{"a", "b", "c"} {
					l.Enqueue(tasktest.Turn("talk"), id)
				}
				l.Enqueue(tasks.Ask("bot", "why?"), "alone")
				if tt.reach != nil {
					tt.reach(l)
				}
				for range 2 {
					if got, err := l.Tasks.Cancel(t.Context(), tt.id); got != tt.want || err != nil {
						t.Errorf("got %q, %v; want %s", got, err, tt.want)
					}
				}
				l.Members(tt.lane...)
				l.States(tt.states...)
			})
		}
		if _, err := l.Tasks.Cancel(t.Context(), "nobody"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("an unknown id: %v", err)
		}
	})
}
