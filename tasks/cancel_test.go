package tasks_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func TestCancel(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	tests := []struct {
		name   string
		reach  func(l *line) // a, b and c are one conversation, alone has none
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
		{"running", func(l *line) { l.take("a"); l.begin("a") }, "a", results.Running, []string{"a", "b", "c"},
			[]string{"a", "active", "b", "far"}},
		{"taken, not begun", func(l *line) { l.take("a") }, "a", results.Canceled, []string{"b", "c"},
			[]string{"a", "active", "b", "pending"}},
		{"waits without a chat", func(l *line) {
			l.take("a")
			l.must(l.begin("a").Wait(l.t.Context(), &results.Failure{Class: "rate"}))
			l.leave("a", "retry", soon)
		}, "a", results.Canceled, []string{"b", "c"},
			[]string{"a", "none", "b", "pending"}},
		{"waits with a chat", func(l *line) {
			l.take("a")
			a := l.begin("a")
			l.must(errors.Join(a.Created(l.t.Context(), "c1", "chat1"), a.Wait(l.t.Context(), nil)))
			l.leave("a", "retry", soon)
		}, "a", results.Waiting, []string{"a", "b", "c"},
			[]string{"a", "pending", "b", "far"}}, // a worker cancels it at Coze, now
		{"completed", func(l *line) {
			l.take("a")
			l.answer("a")
			l.must(l.lanes.Leave(l.t.Context(), place("a")))
			l.leave("a", "completed", soon)
		}, "a", results.Completed, []string{"b", "c"},
			[]string{"a", "completed", "b", "pending"}},
	}
	each(t, func(t *testing.T, l *line) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				redistest.Flush(t, l.rdb)
				l := newLine(t, l.rdb)
				for _, id := range []string{"a", "b", "c"} {
					l.enqueue(turn("talk"), id)
				}
				l.enqueue(tasks.Ask("bot", "why?"), "alone")
				if tt.reach != nil {
					tt.reach(l)
				}
				for range 2 {
					if got, err := l.client.Cancel(t.Context(), tt.id); got != tt.want || err != nil {
						t.Errorf("got %q, %v; want %s", got, err, tt.want)
					}
				}
				l.members(tt.lane...)
				l.states(tt.states...)
			})
		}
		if _, err := l.client.Cancel(t.Context(), "nobody"); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("an unknown id: %v", err)
		}
	})
}
