package conversation_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/conversation"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestConversations(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		ctx := t.Context()
		c := conversation.New(rdb)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		is := func(bot, key, want string) {
			t.Helper()
			if id, err := c.Get(ctx, bot, key); id != want || err != nil {
				t.Errorf("%s of %s is %q, %v; want %q", key, bot, id, err, want)
			}
		}
		is("bot", "talk", "")
		for i, id := range []string{"c1", "c2"} {
			if held, err := c.Name(ctx, "bot", "talk", id); held != "c1" || err != nil {
				t.Errorf("name %d gave %q, %v", i, held, err)
			}
		}
		is("bot", "talk", "c1")
		is("another bot", "talk", "")
		is("bot", "another talk", "")

		must(c.Drop(ctx, "bot", "talk", "c2")) // not the one that holds
		is("bot", "talk", "c1")
		for range 2 {
			must(c.Drop(ctx, "bot", "talk", "c1"))
			is("bot", "talk", "")
		}
		if held, err := c.Name(ctx, "bot", "talk", "c3"); held != "c3" || err != nil {
			t.Errorf("after the drop: %q, %v", held, err)
		}
		must(c.Move(ctx, "bot", "talk", "c1", "c4")) // it does not stand for that one
		is("bot", "talk", "c3")
		must(c.Move(ctx, "bot", "talk", "c3", "c4"))
		is("bot", "talk", "c4")
		must(c.Move(ctx, "bot", "never named", "", "c4"))
		is("bot", "never named", "")

		const key = "cozeq:conversation:{bot:talk}"
		must(rdb.Expire(ctx, key, time.Minute).Err())
		is("bot", "talk", "c4") // use keeps it
		if left := rdb.TTL(ctx, key).Val(); left < 179*24*time.Hour || left > 180*24*time.Hour {
			t.Errorf("kept for %v", left)
		}
	})
}

// Of many that create a conversation at the same time one wins, and all hear which.
func TestConversationRace(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const n = 20
		held := make([]string, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				var err error
				if held[i], err = conversation.New(rdb).Name(t.Context(), "bot", "talk", fmt.Sprint("c", i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, id := range held {
			if id == "" || id != held[0] {
				t.Fatalf("different winners: %q", held)
			}
		}
	})
}
