package worker_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestSameWords asks the same words in two turns of one conversation. The second never
// reaches Coze, which gives no meta_data back: what stands there is the first turn's.
func TestSameWords(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb, cozetest.With(cozetest.Config{
			NoMetaData: true, NoDirectives: true,
			Rules: cozetest.Script{{Contains: "go on", Nth: 2, Fault: cozetest.Fault{Kind: cozetest.Hangup}}},
		}))
		l.work()
		conversation, err := l.fake.Client().CreateConversation(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		turn := func() *results.Result {
			chat := tasks.Ask("bot", "go on")
			chat.ConversationID = conversation.ID
			return l.wait(l.enqueue(chat, tasks.Options{}))
		}
		first, second := turn(), turn()
		if second.Status != results.Completed || second.ChatID == first.ChatID || second.PossibleDuplicate {
			t.Errorf("the first turn: %+v\nthe second: %+v", first, second)
		}
		if n := l.fake.Accepted(); n != 2 {
			t.Errorf("%d chats, want 2", n)
		}
	})
}

// TestWhoseQuestion has somebody ask in a conversation of the caller's, in words that the
// task is about to use. That question was asked just before the task's note by Coze's
// clock, which may differ from ours: nobody can tell whose it is.
func TestWhoseQuestion(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		asked     time.Duration // since the other's question
		duplicate bool
	}{
		"just before":       {4 * time.Second, true},
		"long before":       {time.Minute, false},
		"by a wrong clock":  {time.Hour, true},
		"not before at all": {-time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := func() time.Time { return time.Now() }
			if tt.asked != time.Hour {
				now = func() time.Time { return time.Now().Add(-tt.asked) }
			}
			l := newLine(t, redistest.Embedded(t), cozetest.With(cozetest.Config{NoMetaData: true, Now: now}))
			client := l.fake.Client()
			conversation, err := client.CreateConversation(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			other, err := client.Stream(t.Context(), &coze.ChatRequest{
				ConversationID: conversation.ID, BotID: "bot", UserID: "somebody",
				AdditionalMessages: []coze.Message{coze.UserText("hello")},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range other.Events() {
				if err != nil {
					t.Fatal(err)
				}
			}
			asked := time.Now()
			if tt.asked == time.Hour {
				asked = asked.Add(time.Hour)
			}
			chat := tasks.Ask("bot", "hello")
			chat.ConversationID = conversation.ID
			id := l.enqueue(chat, tasks.Options{AskedAt: asked})
			l.work()
			r := l.wait(id)
			want := 2
			if tt.asked < 0 {
				want = 1 // it is the task's own as far as anybody can know
			}
			if r.Status != results.Completed || r.PossibleDuplicate != tt.duplicate || l.fake.Accepted() != want {
				t.Errorf("%d chats, %+v", l.fake.Accepted(), r)
			}
		})
	}
}

// TestNoteInFuture takes over tasks whose questions were noted by a clock an hour fast.
// They are looked for as long as others, and each look takes a permit.
func TestNoteInFuture(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	var ids []string
	for range 4 {
		conversation, err := l.fake.Client().CreateConversation(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, l.enqueue(tasks.Ask("bot", "when?"), tasks.Options{
			ConversationID: conversation.ID, AskedAt: time.Now().Add(time.Hour),
		}))
	}
	const rate = 3
	began := time.Now()
	l.work(func(c *worker.Config) { c.Rate = rate })
	for _, id := range ids {
		if r := l.wait(id); r.Status != results.Completed || r.PossibleDuplicate {
			t.Errorf("got %+v", r)
		}
	}
	calls := l.fake.Calls("/v1/conversation/message/list") + l.fake.Accepted()
	if most := int(time.Since(began).Seconds()+2) * rate; calls > most {
		t.Errorf("%d looks and questions in %v at a rate of %d/s", calls, time.Since(began), rate)
	}
	if n := l.fake.Accepted(); n != len(ids) {
		t.Errorf("%d chats, want %d", n, len(ids))
	}
}

// TestLookIsNotBegunAnew takes over a task whose asker was fenced a minute ago, by a worker
// that died soon after. One look is enough: workers that live for less than a whole look
// would never ask it else.
func TestLookIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]time.Duration{"asked a minute ago": -time.Minute, "by a clock that is fast": time.Hour} {
		t.Run(name, func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				l := newLine(t, rdb)
				conversation, err := l.fake.Client().CreateConversation(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				id := l.enqueue(tasks.Ask("bot", "when?"), tasks.Options{
					ConversationID: conversation.ID, AskedAt: time.Now().Add(asked),
				})
				now, err := rdb.Time(t.Context()).Result()
				if err == nil {
					err = rdb.HSet(t.Context(), results.Key(id), "fenced_at", now.Add(-time.Minute).UnixMilli()).Err()
				}
				if err != nil {
					t.Fatal(err)
				}
				l.work()
				if r := l.wait(id); r.Status != results.Completed || r.PossibleDuplicate {
					t.Errorf("got %+v", r)
				}
				if n := l.fake.Calls("/v1/conversation/message/list"); n != 1 {
					t.Errorf("%d looks, want 1", n)
				}
			})
		})
	}
}
