package worker_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestShutdown stops a worker while chats are open that outlast its drain; another
// one ends them without asking again.
func TestShutdown(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		stop := l.work(func(c *worker.Config) { c.Drain = -1 })
		var ids []string
		for _, question := range []string{"one", "two", "three"} {
			ids = append(ids, l.enqueue(tasks.Ask("bot", question), tasks.Options{}))
		}
		awaittest.Until(t, "all chats to be noted", func() bool {
			for _, id := range ids {
				if r, err := l.store.Get(t.Context(), id); err != nil || r.ChatID == "" {
					return false
				}
			}
			return true
		})
		stop()
		for _, id := range ids {
			r, err := l.store.Get(t.Context(), id)
			if err != nil || r.Status != results.Waiting || r.ChatID == "" {
				t.Errorf("after the shutdown: %+v, %v", r, err)
			}
			info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetTaskInfo(tasks.QueueDefault, id)
			if err != nil || info.State != asynq.TaskStatePending || info.Retried != 0 {
				t.Errorf("in asynq: %+v, %v", info, err)
			}
		}
		l.work()
		for _, id := range ids {
			if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 || r.PossibleDuplicate {
				t.Errorf("got %+v", r)
			}
		}
		if n := l.fake.Accepted(); n != 3 {
			t.Errorf("%d chats, want 3", n)
		}
	}, cozetest.With(cozetest.Config{DeltaPace: time.Second}))
}

func TestDrainLetsChatsEnd(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		stop := l.work()
		id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
		awaittest.Until(t, "the chat", func() bool { return l.fake.Running() == 1 })
		stop()
		if r, err := l.store.Get(t.Context(), id); err != nil || r.Status != results.Completed {
			t.Errorf("after the drain: %+v, %v", r, err)
		}
		if n := l.fake.Calls("/v3/chat/retrieve"); n != 0 {
			t.Errorf("looked up %d times, want the stream to have held", n)
		}
	}, cozetest.With(cozetest.Config{DeltaPace: 50 * time.Millisecond}))
}

func TestExpired(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		chat := tasks.Ask("bot", "too late")
		chat.ExpiresAt = time.Now().Add(-time.Second)
		if r := l.wait(l.enqueue(chat, tasks.Options{})); r.Status != results.Expired || r.Error.Class != "expired" {
			t.Errorf("got %+v", r)
		}
		l.asked(0)
	})
}

// TestDeadlinePassed enqueues with a plain asynq client what asynq itself will not hand
// out any more.
func TestDeadlinePassed(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		client := asynq.NewClientFromRedisClient(l.rdb)
		payload := []byte(`{"v":1,"bot_id":"bot","additional_messages":[{"role":"user","content":"hi","content_type":"text"}]}`)
		if _, err := client.Enqueue(asynq.NewTask(tasks.TypeChat, payload), asynq.TaskID("late"),
			asynq.Deadline(time.Now().Add(-time.Minute)), asynq.MaxRetry(1)); err != nil {
			t.Fatal(err)
		}
		l.work()
		awaittest.Until(t, "a record", func() bool { _, err := l.store.Get(t.Context(), "late"); return err == nil })
		if r := l.wait("late"); r.Status != results.Expired || r.Error.Class != "expired" {
			t.Errorf("got %+v", r)
		}
		awaittest.Until(t, "asynq to give it up", func() bool {
			info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetTaskInfo(tasks.QueueDefault, "late")
			return err == nil && info.State == asynq.TaskStateArchived
		})
		l.asked(0)
	})
}

// TestInvalidPayload enqueues with a plain asynq client what no worker can read.
func TestInvalidPayload(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		client := asynq.NewClientFromRedisClient(l.rdb)
		for id, payload := range map[string]string{
			"not-json":    "hello",
			"not-utf8":    "\xff\xfe",
			"wrong-v":     `{"v":2,"bot_id":"bot"}`,
			"no-question": `{"v":1,"bot_id":"bot"}`,
			"no-bot":      `{"v":1,"additional_messages":[{"role":"user","content":"hi"}]}`,
			"lost-body":   `{"v":1,"bot_id":"bot","preview":"long ago"}`,
			"wrong-type":  `{"v":1,"bot_id":7}`,
		} {
			if _, err := client.Enqueue(asynq.NewTask(tasks.TypeChat, []byte(payload)), asynq.TaskID(id)); err != nil {
				t.Fatal(err)
			}
			awaittest.Until(t, "a record of "+id, func() bool { _, err := l.store.Get(t.Context(), id); return err == nil })
			r := l.wait(id)
			if r.Status != results.Failed || r.Error.Class != "invalid" || r.Attempts != 0 {
				t.Errorf("%s: %+v", id, r)
			}
			t.Logf("%s: %s", id, r.Error.Message)
		}
		if n := len(l.fake.Requests()); n != 0 {
			t.Errorf("%d calls to Coze, want none", n)
		}
	})
}

// TestOtherType enqueues good payloads under types that are not ours. One that only begins
// like ours is another kind of task, too.
func TestOtherType(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work()
		client := asynq.NewClientFromRedisClient(l.rdb)
		payload := []byte(`{"v":1,"bot_id":"bot","additional_messages":[{"role":"user","content":"hi","content_type":"text"}]}`)
		for id, kind := range map[string]string{"later": "coze:chat:v2", "longer": "coze:chats", "other": "mail:send", "shorter": "coze:"} {
			if _, err := client.Enqueue(asynq.NewTask(kind, payload), asynq.TaskID(id)); err != nil {
				t.Fatal(err)
			}
			awaittest.Until(t, "a record of "+id, func() bool { _, err := l.store.Get(t.Context(), id); return err == nil })
			r := l.wait(id)
			if r.Status != results.Failed || r.Error.Class != "invalid" || !strings.Contains(r.Error.Message, strconv.Quote(kind)) {
				t.Errorf("%s: %+v, %+v", kind, r, r.Error)
			}
			awaittest.Until(t, "asynq to archive it", func() bool {
				info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetTaskInfo(tasks.QueueDefault, id)
				return err == nil && info.State == asynq.TaskStateArchived
			})
		}
		if n := len(l.fake.Requests()); n != 0 {
			t.Errorf("%d calls to Coze, want none", n)
		}
	})
}

func TestPanic(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.work(func(c *worker.Config) {
			c.OnProgress = func(_ context.Context, p worker.Progress) error {
				if p.ID == "bad" {
					panic("out of luck")
				}
				return nil
			}
		})
		if r := l.wait(l.enqueue(tasks.Ask("bot", "?"), tasks.Options{ID: "bad"})); r.Status != results.Failed {
			t.Errorf("got %+v", r)
		}
		if r := l.ask("and the next one?"); r.Status != results.Completed {
			t.Errorf("got %+v", r)
		}
	})
}

// TestLongQuestion keeps what is too long for the queue apart.
func TestLongQuestion(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		question := "长问题 "
		for len(question) < 10_000 {
			question += "说明 "
		}
		id := l.enqueue(tasks.Ask("bot", question), tasks.Options{})
		info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetTaskInfo(tasks.QueueDefault, id)
		if err != nil || len(info.Payload) > 2048 {
			t.Errorf("payload of %d bytes, %v", len(info.Payload), err)
		}
		l.work()
		if r := l.wait(id); r.Status != results.Completed || l.fake.ByQuestion(question) != 1 {
			t.Errorf("got %+v", r)
		}
		if n := l.rdb.Exists(t.Context(), results.BodyKey(id)).Val(); n != 0 {
			t.Error("the body outlived its task")
		}
	})
}

// TestRedisRestart kills Redis in the middle of chats, which end before it is back. Who watches gets their answers whole.
func TestRedisRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.AppendOnly("always"))
	l := newLine(t, server.Client(), cozetest.With(cozetest.Config{DeltaPace: 100 * time.Millisecond}))
	var log awaittest.Log
	l.work(logTo(&log))
	var ids []string
	for range 20 {
		chat := tasks.Ask("bot", "one")
		chat.Stream = true
		ids = append(ids, l.enqueue(chat, tasks.Options{}))
	}
	awaittest.Until(t, "the chats", func() bool { return l.fake.Accepted() == 20 })
	server.Kill()
	awaittest.Until(t, "an answer that cannot be stored", func() bool { return log.Count("could not store how the task ended") > 0 })
	server.Restart()
	for _, id := range ids {
		if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 {
			t.Errorf("got %+v", r)
		}
		text := ""
		for piece, err := range l.tasks.Stream(t.Context(), id) {
			switch {
			case err != nil:
				t.Error(err)
			case piece.Result != nil && piece.Result.Answer != text:
				t.Errorf("the pieces are %q, the answer %q", text, piece.Result.Answer)
			case piece.Restart:
				text = ""
			}
			text += piece.Text
		}
	}
	if n := l.fake.Accepted(); n != 20 {
		t.Errorf("%d chats, want 20", n)
	}
}
