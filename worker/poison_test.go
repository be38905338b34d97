package worker_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
	"github.com/cozeq/cozeq/worker"
)

// logTo has a worker log into a buffer.
func logTo(log *awaittest.Log) func(*worker.Config) {
	return func(c *worker.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) }
}

// TestPoison has tasks in the queue that nobody can ever finish. Each is taken out of the
// way once, and its record ends; those behind them are answered.
func TestPoison(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s: leases must run out")
	}
	each(t, func(t *testing.T, l *line) {
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		key := func(id string) string { return "asynq:{default}:t:" + id }
		for _, id := range []string{"garbage", "cut", "no-hash", "no-msg", "no-hash-type", "other-queue", "other-id"} {
			chat := tasks.Ask("bot", "question of "+id)
			if id == "no-msg" {
				chat.ConversationKey = "talk"
			}
			l.enqueue(chat, tasks.Options{ID: id})
		}
		msg := func(id string) string { return l.rdb.HGet(ctx, key(id), "msg").Val() }
		must(l.rdb.HSet(ctx, key("garbage"), "msg", "\xff\xff\xff garbage").Err())
		must(l.rdb.HSet(ctx, key("cut"), "msg", msg("cut")[:len(msg("cut"))/2]).Err())
		must(l.rdb.Del(ctx, key("no-hash")).Err())
		must(l.rdb.HDel(ctx, key("no-msg"), "msg").Err())
		must(l.rdb.Del(ctx, key("no-hash-type")).Err())
		must(l.rdb.Set(ctx, key("no-hash-type"), "text", 0).Err())
		must(l.rdb.HSet(ctx, key("other-queue"), "msg", strings.Replace(msg("other-queue"), "\x22\x07default", "\x22\x07elsewhr", 1)).Err())
		must(l.rdb.HSet(ctx, key("other-id"), "msg", strings.Replace(msg("other-id"), "\x1a\x08other-id", "\x1a\x08id-other", 1)).Err())
		// The turn behind one of them must come.
		next := tasks.Ask("bot", "the next turn")
		next.ConversationKey = "talk"
		behind := l.enqueue(next, tasks.Options{})
		var said awaittest.Log
		l.work(logTo(&said))
		if r := l.wait(behind); r.Status != results.Completed {
			t.Errorf("the next turn: %+v", r)
		}
		for _, id := range []string{"garbage", "cut", "no-hash", "no-msg", "no-hash-type", "other-queue", "other-id"} {
			r := l.wait(id)
			if r.Status != results.Failed || r.Error.Class != "invalid" || !strings.Contains(r.Error.Message, "message") || r.Attempts != 0 {
				t.Errorf("%s: %+v, %+v", id, r, r.Error)
			}
			if n := l.fake.ByQuestion("question of " + id); n != 0 && id != "other-id" { // that is asked under the id that its message has
				t.Errorf("%s was asked %d times", id, n)
			}
		}
		if r := l.wait("id-other"); r.Status != results.Completed {
			t.Errorf("the message's own task: %+v", r)
		}
		if r := l.ask("and all others?"); r.Status != results.Completed {
			t.Errorf("got %+v", r)
		}
		awaittest.Until(t, "asynq to hold nothing", func() bool {
			n := l.rdb.LLen(ctx, "asynq:{default}:active").Val() + l.rdb.LLen(ctx, "asynq:{default}:pending").Val() +
				l.rdb.ZCard(ctx, "asynq:{default}:lease").Val() + l.rdb.ZCard(ctx, "asynq:{default}:retry").Val()
			return n == 0
		})
		listed, err := worker.Unreadables(ctx, l.rdb, tasks.QueueDefault)
		must(err)
		if len(listed) != 7 {
			t.Errorf("listed: %+v", listed)
		}
		for _, u := range listed {
			if n := said.Count("level=ERROR", "task="+u.ID+" ", "hint="); n != 1 {
				t.Errorf("%s is logged %d times, want once", u.ID, n)
			}
			if n := said.Count("task put back", "task="+u.ID+" "); n != 0 {
				t.Errorf("%s was put back %d times", u.ID, n)
			}
		}
	})
}

// TestJam has a task whose key holds something else than a hash when its time has come. It
// keeps asynq from moving any other task of its queue that is due: it is taken out of the way.
func TestJam(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s: such tasks are looked for now and then")
	}
	each(t, func(t *testing.T, l *line) {
		ctx := t.Context()
		for i, set := range []string{"scheduled", "retry"} {
			for j, id := range []string{set + "-jam", set + "-behind"} {
				l.enqueue(tasks.Ask("bot", "question of "+id), tasks.Options{ID: id})
				due := redis.Z{Member: id, Score: float64(time.Now().Unix() - 100 + int64(10*i+j))}
				if err := l.rdb.LRem(ctx, "asynq:{default}:pending", 0, id).Err(); err != nil {
					t.Fatal(err)
				}
				if err := l.rdb.ZAdd(ctx, "asynq:{default}:"+set, due).Err(); err != nil {
					t.Fatal(err)
				}
			}
			key := "asynq:{default}:t:" + set + "-jam"
			if err := l.rdb.Del(ctx, key).Err(); err != nil {
				t.Fatal(err)
			}
			if err := l.rdb.Set(ctx, key, "text", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		var said awaittest.Log
		l.work(logTo(&said))
		for _, set := range []string{"scheduled", "retry"} {
			if r := l.wait(set + "-behind"); r.Status != results.Completed {
				t.Errorf("behind it: %+v", r)
			}
			if r := l.wait(set + "-jam"); r.Status != results.Failed || r.Error.Class != "invalid" || r.Attempts != 0 {
				t.Errorf("got %+v, %+v", r, r.Error)
			}
			if n := said.Count("level=ERROR", "task="+set+"-jam ", "hint="); n != 1 {
				t.Errorf("%s-jam is logged %d times, want once", set, n)
			}
			if n := l.rdb.ZCard(ctx, "asynq:{default}:"+set).Val(); n != 0 {
				t.Errorf("%d tasks are %s", n, set)
			}
		}
		listed, err := worker.Unreadables(ctx, l.rdb, tasks.QueueDefault)
		if err != nil || len(listed) != 2 {
			t.Errorf("listed: %+v, %v", listed, err)
		}
	})
}

// TestDamagedKeys has keys of a task hold something else: that is no outage, and is not
// tried for ever.
func TestDamagedKeys(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		ctx := t.Context()
		damage := func(key string) {
			t.Helper()
			if err := l.rdb.Del(ctx, key).Err(); err != nil {
				t.Fatal(err)
			}
			if err := l.rdb.LPush(ctx, key, "something else").Err(); err != nil {
				t.Fatal(err)
			}
		}
		archived := func(id string) {
			t.Helper()
			awaittest.Until(t, "asynq to archive "+id, func() bool {
				info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetTaskInfo(tasks.QueueDefault, id)
				return err == nil && info.State == asynq.TaskStateArchived
			})
		}
		l.enqueue(tasks.Ask("bot", "the record"), tasks.Options{ID: "record"})
		damage(results.Key("record"))
		l.enqueue(tasks.Ask("bot", strings.Repeat("a long question ", 500)), tasks.Options{ID: "body"})
		damage(results.BodyKey("body"))
		keyed := tasks.Ask("bot", "the conversation")
		keyed.ConversationKey = "talk"
		l.enqueue(keyed, tasks.Options{ID: "conversation"})
		damage("cozeq:conversation:{bot:talk}")
		streamed := tasks.Ask("bot", "the stream")
		streamed.Stream = true
		l.enqueue(streamed, tasks.Options{ID: "stream"})
		damage(results.DeltasKey("stream"))
		turn := tasks.Ask("bot", "the lane")
		turn.ConversationKey = "other talk"
		l.enqueue(turn, tasks.Options{ID: "lane"})
		for _, key := range redistest.Keys(t, l.rdb, "cozeq:lane:*other talk*") {
			damage(key)
		}
		var said awaittest.Log
		l.work(logTo(&said))
		for _, id := range []string{"body", "conversation", "lane"} {
			if r := l.wait(id); r.Status != results.Failed || r.Error.Class != "invalid" || r.Error.Hint == "" && id != "body" {
				t.Errorf("%s: %+v, %+v", id, r, r.Error)
			}
			archived(id)
		}
		if r := l.wait("stream"); r.Status != results.Completed {
			t.Errorf("stream: %+v", r)
		}
		archived("record")
		for id, key := range map[string]string{"record": results.Key("record"), "conversation": "cozeq:conversation:{bot:talk}", "lane": "cozeq:lane:{"} {
			if n := said.Count("level=ERROR", "task="+id+" ", key, "hint="); n != 1 {
				t.Errorf("%s is logged %d times, want once", id, n)
			}
		}
		if n := l.fake.Accepted(); n != 1 {
			t.Errorf("%d chats, want 1", n)
		}
	})
}

// A batch whose row's record is damaged ends all the same.
func TestDamagedRecordOfBatch(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		bs := l.submit("b", "one", "two")
		id := batches.TaskID("b", 1, 1)
		if err := l.rdb.Del(t.Context(), results.Key(id)).Err(); err != nil {
			t.Fatal(err)
		}
		if err := l.rdb.Set(t.Context(), results.Key(id), "something else", time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		l.work()
		if b := l.over(bs, "b"); b.Counts != (batches.Counts{Total: 2, Completed: 1, Failed: 1}) {
			t.Errorf("%+v", b)
		}
	})
}
