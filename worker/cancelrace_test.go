package worker_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// afterScript lets f run when a script whose first key has this prefix has been
// answered, once, before the answer is seen.
type afterScript struct {
	prefix string
	keys   int
	once   sync.Once
	f      func()
}

func (h *afterScript) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *afterScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			h.saw(cmd)
		}
		return err
	}
}
func (h *afterScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.saw(cmd)
		return err
	}
}

func (h *afterScript) saw(cmd redis.Cmder) {
	args := cmd.Args()
	if cmd.Err() != nil || len(args) < 4 || !strings.HasPrefix(cmd.Name(), "eval") || args[2] != h.keys {
		return
	}
	if key, _ := args[3].(string); strings.HasPrefix(key, h.prefix) {
		h.once.Do(h.f)
	}
}

// TestCancelAsItBegins cancels a task at the moment at which it has become running
// and its worker does not know yet.
func TestCancelAsItBegins(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := newLine(t, server.Client())
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	other := redis.NewClient(options)
	t.Cleanup(func() { other.Close() })
	sub := other.Subscribe(t.Context(), "cozeq:cancel")
	t.Cleanup(func() { sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := results.NewStore(other)
	t.Cleanup(func() { store.Close() })
	client := tasks.NewClient(store)
	id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
	l.rdb.AddHook(&afterScript{prefix: results.Key(id), keys: 2, f: func() {
		if status, err := client.Cancel(t.Context(), id); err != nil || status != results.Running {
			t.Errorf("cancel: %s, %v", status, err)
		}
		if _, err := sub.ReceiveMessage(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Millisecond)
	}})
	l.work()
	if r := l.wait(id); r.Status != results.Canceled {
		t.Errorf("got %+v", r)
	}
}

// TestCancelTakenOver cancels a turn that has a chat from an earlier run and waits
// behind another one.
func TestCancelTakenOver(t *testing.T) {
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	l.work()
	var ids []string
	for i, question := range []string{"first [[mock:endless=20ms]]", "second"} {
		chat := tasks.Ask("bot", question)
		chat.ConversationKey = "talk"
		o := tasks.Options{}
		if i == 1 {
			o.ConversationID, o.ChatID = "1", "2"
		}
		ids = append(ids, l.enqueue(chat, o))
	}
	awaittest.Until(t, "the first chat", func() bool { return l.fake.Running() == 1 })
	l.cancel(ids[1])
	if r := l.wait(ids[1]); r.Status != results.Canceled {
		t.Errorf("got %+v", r)
	}
	l.cancel(ids[0])
	l.wait(ids[0])
}

// TestDeletedWithChat deletes a turn in asynqmon that waits with a chat of its own:
// its record ends, its chat is canceled, and the conversation goes on.
func TestDeletedWithChat(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 40 s: the sweep must come by")
	}
	t.Parallel()
	l := newLine(t, redistest.Embedded(t))
	stop := l.work(func(c *worker.Config) { c.Drain = -1 })
	var ids []string
	for _, question := range []string{"first [[mock:endless=20ms]]", "second"} {
		chat := tasks.Ask("bot", question)
		chat.ConversationKey = "talk"
		ids = append(ids, l.enqueue(chat, tasks.Options{}))
	}
	awaittest.Until(t, "the chat to be noted", func() bool {
		r, err := l.store.Get(t.Context(), ids[0])
		return err == nil && r.ChatID != ""
	})
	stop()
	if err := asynq.NewInspectorFromRedisClient(l.rdb).DeleteTask(tasks.QueueDefault, ids[0]); err != nil {
		t.Fatal(err)
	}
	l.work()
	if r := l.wait(ids[0]); r.Status != results.Canceled {
		t.Errorf("got %+v", r)
	}
	l.completed(ids[1])
	if n := l.fake.Calls("/v3/chat/cancel"); n == 0 {
		t.Error("the chat was not canceled at Coze")
	}
}
