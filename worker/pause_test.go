package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

func (l *line) rules(rules ...cozetest.Rule) {
	l.t.Helper()
	if err := l.fake.SetRules(rules...); err != nil {
		l.t.Fatal(err)
	}
}

func (l *line) queue() *asynq.QueueInfo {
	l.t.Helper()
	info, err := asynq.NewInspectorFromRedisClient(l.rdb).GetQueueInfo(tasks.QueueDefault)
	if err != nil {
		l.t.Fatal(err)
	}
	return info
}

func (l *line) paused() []worker.Pause {
	l.t.Helper()
	all, err := worker.Pauses(l.t.Context(), l.rdb)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// TestPause uses a quota up, or lets a token expire, in the middle of 1,000 tasks,
// on two workers.
func TestPause(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cozetest.Fault{
		"quota":   {Kind: cozetest.Refuse, Code: 4028},
		"auth":    {Kind: cozetest.Refuse, Code: 4100},
		"expired": {Kind: cozetest.Refuse, Code: 700012006, Status: 401},
		"in chat": {Kind: cozetest.Fail, Code: 4028},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				n, concurrency := 300, 16
				if name == "quota" && !testing.Short() {
					n = 1000
				}
				l := newLine(t, rdb, cozetest.With(cozetest.Config{Latency: 10 * time.Millisecond}))
				var ids []string
				for i := range n {
					ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{}))
				}
				two := func(c *worker.Config) { c.Concurrency = concurrency }
				l.work(two)
				l.work(two)
				awaittest.Until(t, "100 chats", func() bool { return l.fake.Accepted() >= 100 })
				l.rules(cozetest.Rule{Fault: fault})
				before := l.fake.Calls("/v3/chat")
				awaittest.Until(t, "the queue to be paused", func() bool { return l.queue().Paused })
				awaittest.Until(t, "all to wait", func() bool { return l.queue().Active == 0 })

				pauses := l.paused()
				if len(pauses) != 1 || pauses[0].Code != fault.Code || pauses[0].BotID != "" || pauses[0].Hint == "" {
					t.Fatalf("pauses %+v", pauses)
				}
				// A probe is one more, and pauses the rest as before.
				if k, err := worker.ProbeNow(t.Context(), rdb); err != nil || k != 1 {
					t.Fatalf("%d pauses, %v", k, err)
				}
				awaittest.Until(t, "the probe", func() bool {
					p := l.paused()
					return len(p) == 1 && p[0].NextProbe.After(time.Now())
				})
				awaittest.Until(t, "the probe's end", func() bool { return l.queue().Active == 0 })
				if calls := l.fake.Calls("/v3/chat") - before; calls > 2*concurrency+1 {
					t.Errorf("%d asks after the first refusal, want at most those in flight and a probe", calls)
				}
				if info := l.queue(); !info.Paused || info.Archived != 0 {
					t.Errorf("queue %+v", info)
				}

				l.rules()
				if _, err := worker.ProbeNow(t.Context(), rdb); err != nil {
					t.Fatal(err)
				}
				attempts := 1
				for _, id := range ids {
					if r := l.wait(id); r.Status != results.Completed || r.Attempts != attempts {
						t.Fatalf("got %+v %+v", r, r.Error)
					}
				}
				if len(l.paused()) != 0 || l.queue().Paused {
					t.Errorf("still paused: %+v", l.paused())
				}
			})
		})
	}
}

// TestPauseOfOneBot has one bot of two unpublished.
func TestPauseOfOneBot(t *testing.T) {
	t.Parallel()
	for _, code := range []int{4006, 4008, 4012, 4015, 4200} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			l := newLine(t, redistest.Embedded(t))
			l.rules(cozetest.Rule{Contains: "bad", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: code}})
			var good, bad []string
			for i := range 100 {
				good = append(good, l.enqueue(tasks.Ask("good", fmt.Sprint("good ", i)), tasks.Options{}))
				bad = append(bad, l.enqueue(tasks.Ask("bad", fmt.Sprint("bad ", i)), tasks.Options{}))
			}
			l.work(func(c *worker.Config) { c.Concurrency = 16 })
			for _, id := range good {
				l.completed(id)
			}
			awaittest.Until(t, "the others to step aside", func() bool {
				p := l.paused()
				return len(p) == 1 && p[0].BotID == "bad" && p[0].Aside == 100
			})
			if l.queue().Paused {
				t.Error("the queue is paused for one bot")
			}
			if calls := l.fake.Calls("/v3/chat"); calls > 100+16 {
				t.Errorf("%d asks, want those of the good bot and those in flight", calls)
			}
			l.rules()
			l.probe()
			for _, id := range bad {
				if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 {
					t.Fatalf("got %+v", r)
				}
			}
		})
	}
}

// TestOperatorsPause is never undone, and ours is told from it.
func TestOperatorsPause(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		inspector := asynq.NewInspectorFromRedisClient(l.rdb)
		first := l.enqueue(tasks.Ask("bot", "first"), tasks.Options{})
		if err := inspector.PauseQueue(tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		// Another queue brings about a pause of ours, and its end.
		l.rules(cozetest.Rule{Contains: "critical", Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4100}})
		critical := l.enqueue(tasks.Ask("bot", "critical"), tasks.Options{Queue: tasks.QueueCritical})
		l.work()
		awaittest.Until(t, "our pause", func() bool { return len(l.paused()) == 1 })
		l.probe()
		l.completed(critical)
		awaittest.Until(t, "the end of our pause", func() bool { return len(l.paused()) == 0 })
		if !l.queue().Paused {
			t.Error("the operator's pause was undone")
		}
		if r, err := l.store.Get(t.Context(), first); err != nil || r.Status != results.Queued {
			t.Errorf("got %+v, %v", r, err)
		}
		if err := inspector.UnpauseQueue(tasks.QueueDefault); err != nil {
			t.Fatal(err)
		}
		l.completed(first)
	})
}

// TestCredentials has two of them in one worker, of which one is paused.
func TestCredentials(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.rules(cozetest.Rule{Contains: "other", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4011}})
		other := l.fake.Client()
		other.UserAgent = "other"
		l.work(func(c *worker.Config) {
			other.HTTP = c.Coze.HTTP
			c.Credentials = []worker.Credential{{Name: "other", Coze: other}}
		})
		chat := tasks.Ask("bot", "other")
		chat.Credential = "other"
		waiting := l.enqueue(chat, tasks.Options{})
		awaittest.Until(t, "the pause", func() bool { p := l.paused(); return len(p) == 1 && p[0].Aside == 1 })
		if l.queue().Paused {
			t.Error("the queue is paused for one credential of two")
		}
		l.rules()
		l.probe()
		l.completed(waiting)
	})
}

// TestPauseByConversation has the token refused at a question's very first call, which
// makes its conversation.
func TestPauseByConversation(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.fake.SetTokens("another")
		var ids []string
		for i := range 50 {
			ids = append(ids, l.enqueue(tasks.Ask("bot", fmt.Sprint("question ", i)), tasks.Options{}))
		}
		l.work(func(c *worker.Config) { c.Concurrency = 16 })
		awaittest.Until(t, "the pause", func() bool { return len(l.paused()) == 1 && l.queue().Paused })
		awaittest.Until(t, "all to wait", func() bool { return l.queue().Active == 0 })
		l.probe()
		awaittest.Until(t, "the probe", func() bool {
			p := l.paused()
			return len(p) == 1 && p[0].NextProbe.After(time.Now())
		})
		awaittest.Until(t, "the probe's end", func() bool { return l.queue().Active == 0 })
		if calls := len(l.fake.Requests()); calls > 16+3 {
			t.Errorf("%d calls, want those in flight and a probe", calls)
		}
		l.fake.SetTokens()
		l.probe()
		for _, id := range ids {
			if r := l.wait(id); r.Status != results.Completed || r.Attempts != 1 {
				t.Fatalf("got %+v %+v", r, r.Error)
			}
		}
	})
}

// TestPauseOffTheList: a sweep that comes between the two steps of Pauses.Begin takes the pause off the list of those that
// are probed. The task that waits for its end puts it back.
func TestPauseOffTheList(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.rdb.AddHook(&afterScript{prefix: "cozeq:pause:{", keys: 1, f: func() {
			if n, err := l.rdb.SRem(t.Context(), "cozeq:pauses", redistest.Keys(t, l.rdb, "cozeq:pause:{*")).Result(); err != nil || n != 1 {
				t.Errorf("%d taken off the list, %v", n, err)
			}
		}})
		l.work()
		id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{})
		awaittest.Until(t, "the queue to be paused", func() bool { return l.queue().Paused })
		if n, err := worker.ProbeNow(t.Context(), l.rdb); err != nil || n != 1 {
			t.Fatalf("%d pauses to probe, %v", n, err)
		}
		l.completed(id)
	}, cozetest.WithRules(cozetest.Rule{Times: 1, Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4028}}))
}
