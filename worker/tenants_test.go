package worker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestTenantsTakeTurns has a tenant with many questions, and others that come with a few. Between the enqueueing of one of
// theirs and its ask, Coze gets no more of the many than are taken up already, one whose turn it is, and those that the other
// slots begin with between its take-up and its ask.
func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	const many, slots = 200, 4
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb, cozetest.With(cozetest.Config{Latency: 30 * time.Millisecond}))
		var items []tasks.Item
		for i := range many {
			chat := tasks.Ask("bot", fmt.Sprint("big ", i))
			chat.Tenant = "big"
			items = append(items, tasks.Item{Chat: chat, Options: tasks.Options{ID: fmt.Sprint("big-", i)}})
		}
		if err := l.tasks.EnqueueAll(t.Context(), items).FirstErr(); err != nil {
			t.Fatal(err)
		}
		l.work(func(c *worker.Config) { c.Concurrency = slots })
		l.wait("big-0")
		asked := func() (all []string) {
			for _, r := range l.fake.Requests() {
				if r.Path == "/v3/chat" {
					all = append(all, r.Question)
				}
			}
			return all
		}
		for i, tenant := range []string{"small", "small", "", "another", "small"} {
			chat := tasks.Ask("bot", fmt.Sprint("single ", i))
			chat.Tenant = tenant
			chat.ConversationKey = fmt.Sprint("talk ", i/2) // of some the first turn, of others the second
			id := l.enqueue(chat, tasks.Options{})
			before := len(asked())
			if r := l.wait(id); r.Status != results.Completed || r.Tenant != tenant {
				t.Errorf("%+v", r)
			}
			between := 0
			for _, question := range asked()[before:] {
				if question == chat.AdditionalMessages[0].Content {
					break
				}
				if strings.HasPrefix(question, "big") {
					between++
				}
			}
			if between > 2*slots {
				t.Errorf("%q: %d others were asked first", chat.AdditionalMessages[0].Content, between)
			}
		}
		if n := len(asked()); n >= many {
			t.Errorf("%d were asked by then: this shows nothing", n)
		}
		for i := range many {
			if r := l.wait(fmt.Sprint("big-", i)); r.Status != results.Completed {
				t.Errorf("%+v", r)
			}
		}
		if n := l.fake.Accepted(); n != many+5 {
			t.Errorf("%d chats", n)
		}
	})
}

// TestTenantsCanceled cancels what waits in a tenant's list, and what is in another queue.
func TestTenantsCanceled(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		var ids []string
		for i := range 6 {
			chat := tasks.Ask("bot", fmt.Sprint("question ", i))
			chat.Tenant = "shop"
			if i > 3 {
				chat.ConversationKey = "talk"
			}
			ids = append(ids, l.enqueue(chat, tasks.Options{}))
		}
		for _, i := range []int{0, 2, 4} {
			if status, err := l.tasks.Cancel(t.Context(), ids[i]); err != nil || status != results.Canceled {
				t.Errorf("%s, %v", status, err)
			}
		}
		l.work()
		for i, id := range ids {
			want := results.Completed
			if i%2 == 0 {
				want = results.Canceled
			}
			if r := l.wait(id); r.Status != want {
				t.Errorf("question %d: %+v", i, r)
			}
		}
		if n := l.fake.Accepted(); n != 3 {
			t.Errorf("%d chats", n)
		}
	})
}
