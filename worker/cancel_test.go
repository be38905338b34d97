package worker_test

import (
	"testing"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func (l *line) cancel(id string) results.Status {
	l.t.Helper()
	status, err := l.tasks.Cancel(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return status
}

func TestCancelQueued(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		id := l.enqueue(tasks.Ask("bot", "never asked"), tasks.Options{})
		if status := l.cancel(id); status != results.Canceled {
			t.Fatalf("status %s, want canceled", status)
		}
		l.work()
		if r := l.wait(id); r.Status != results.Canceled || r.Error == nil || r.Error.Class != "canceled" {
			t.Errorf("got %+v", r)
		}
		after := l.ask("asked")
		if after.Status != results.Completed || l.fake.Accepted() != 1 {
			t.Errorf("%d chats, want only the one after", l.fake.Accepted())
		}
		if status := l.cancel(after.ID); status != results.Completed {
			t.Errorf("canceling a completed task gave %s", status)
		}
	})
}

func TestCancelRunning(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		chat := tasks.Ask("bot", "endless [[mock:endless=20ms]]")
		chat.ConversationKey = "talk"
		id := l.enqueue(chat, tasks.Options{})
		next := tasks.Ask("bot", "and then?")
		next.ConversationKey = "talk"
		nextID := l.enqueue(next, tasks.Options{})
		awaittest.Until(t, "the chat to be noted", func() bool {
			r, err := l.store.Get(t.Context(), id)
			return err == nil && r.ChatID != ""
		})
		l.cancel(id)
		if r := l.wait(id); r.Status != results.Canceled || r.Attempts != 0 {
			t.Errorf("got %+v", r)
		}
		if n := l.fake.Calls("/v3/chat/cancel"); n != 1 {
			t.Errorf("canceled %d times at Coze, want once", n)
		}
		if r := l.wait(nextID); r.Status != results.Completed {
			t.Errorf("the next turn: %+v", r)
		}
		if n := l.fake.Accepted(); n != 2 {
			t.Errorf("%d chats, want 2", n)
		}
	})
}
