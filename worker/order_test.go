package worker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// TestTurns runs conversations of several turns, some of which fail or break, on
// two workers.
func TestTurns(t *testing.T) {
	t.Parallel()
	const conversations, turns = 12, 5
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb, cozetest.With(cozetest.Config{Latency: 5 * time.Millisecond}))
		l.work()
		l.work()
		ids := make([][]string, conversations)
		want := make([][]string, conversations)
		for turn := range turns {
			for c := range conversations {
				question := fmt.Sprintf("conversation %d turn %d", c, turn)
				switch {
				case turn == 2 && c%3 == 0:
					question += " [[mock:cut=4]]"
				case turn == 3 && c%4 == 0:
					question += " [[mock:fail=702112107]]"
				}
				chat := tasks.Ask("bot", question)
				chat.ConversationKey = fmt.Sprint("key ", c)
				ids[c] = append(ids[c], l.enqueue(chat, tasks.Options{}))
				want[c] = append(want[c], question)
			}
		}
		for c := range conversations {
			var conversation string
			for turn, id := range ids[c] {
				r := l.wait(id)
				status := results.Completed
				if turn == 3 && c%4 == 0 {
					status = results.Failed
				}
				if r.Status != status {
					t.Errorf("conversation %d turn %d: %+v", c, turn, r)
				}
				if conversation == "" {
					conversation = r.ConversationID
				}
				if r.ConversationID != conversation {
					t.Errorf("conversation %d turn %d ran in %s, not in %s", c, turn, r.ConversationID, conversation)
				}
			}
			if got := l.fake.Order(conversation); !slices.Equal(got, want[c]) {
				t.Errorf("conversation %d: order %q", c, got)
			}
			if n := l.fake.MaxRunning(conversation); n != 1 {
				t.Errorf("conversation %d: %d chats at a time", c, n)
			}
		}
		if n := l.fake.Accepted(); n != conversations*turns {
			t.Errorf("%d chats, want %d", n, conversations*turns)
		}
	})
}

// TestTurnByHand runs a waiting turn as asynqmon's "run now" does: it must not
// overtake the one before it.
func TestTurnByHand(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		var ids []string
		for _, question := range []string{"first", "second", "third"} {
			chat := tasks.Ask("bot", question)
			chat.ConversationKey = "talk"
			ids = append(ids, l.enqueue(chat, tasks.Options{}))
		}
		inspector := asynq.NewInspectorFromRedisClient(l.rdb)
		if err := inspector.RunTask(tasks.QueueDefault, ids[2]); err != nil {
			t.Fatal(err)
		}
		// The third goes to the head of the queue, in front of the first.
		if err := l.rdb.LRem(t.Context(), "asynq:{default}:pending", 0, ids[2]).Err(); err != nil {
			t.Fatal(err)
		}
		if err := l.rdb.RPush(t.Context(), "asynq:{default}:pending", ids[2]).Err(); err != nil {
			t.Fatal(err)
		}
		l.work()
		var conversation string
		for _, id := range ids {
			conversation = l.wait(id).ConversationID
		}
		if got := l.fake.Order(conversation); !slices.Equal(got, []string{"first", "second", "third"}) {
			t.Errorf("order %q", got)
		}
	})
}

// TestLostLane deletes the key of the order while turns wait.
func TestLostLane(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s: the sweep must come by")
	}
	each(t, func(t *testing.T, l *line) {
		var ids []string
		for _, question := range []string{"first", "second", "third"} {
			chat := tasks.Ask("bot", question)
			chat.ConversationKey = "talk"
			ids = append(ids, l.enqueue(chat, tasks.Options{}))
		}
		keys := redistest.Keys(t, l.rdb, "cozeq:lane:*")
		if len(keys) != 1 {
			t.Fatalf("lanes %q", keys)
		}
		if err := l.rdb.Del(t.Context(), keys[0]).Err(); err != nil {
			t.Fatal(err)
		}
		l.work()
		var conversation string
		for _, id := range ids {
			r := l.wait(id)
			if r.Status != results.Completed {
				t.Errorf("got %+v", r)
			}
			conversation = r.ConversationID
		}
		if got := l.fake.Order(conversation); !slices.Equal(got, []string{"first", "second", "third"}) {
			t.Errorf("order %q", got)
		}
	})
}
