package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

func item(id, key string) tasks.Item {
	return tasks.Item{Chat: tasktest.Turn(key), Options: tasks.Options{ID: id}}
}

func TestEnqueueAll(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		l.Enqueue(tasktest.Turn("talk"), "first")
		l.Enqueue(tasks.Ask("bot", "why?"), "there")
		l.Enqueue(tasks.Ask("bot", "why?"), "ended")
		l.Answer("ended")
		long := item("long", "")
		long.Chat.AdditionalMessages[0].Content = strings.Repeat("a", 5000)
		items := []tasks.Item{
			item("a", ""), item("t1", "talk"), item("there", ""), item("u1", "other"), item("a", ""),
			{Chat: &tasks.Chat{BotID: "bot"}, Options: tasks.Options{ID: "empty"}},
			item("t2", "talk"), item("ended", ""), item("bad id", ""), item("u2", "other"), long,
		}
		want := []string{"", "", "duplicate", "", "duplicate", "invalid", "", "duplicate", "invalid", "", ""}
		for i, e := range l.Tasks.EnqueueAll(t.Context(), items) {
			got := ""
			if _, invalid := errors.AsType[*tasks.InvalidError](e.Err); invalid {
				got = "invalid"
			} else if errors.Is(e.Err, tasks.ErrDuplicate) {
				got = "duplicate"
			} else if e.Err != nil {
				got = e.Err.Error()
			}
			if e.ID != items[i].Options.ID || got != want[i] {
				t.Errorf("item %d: %q, %v, want %q", i, e.ID, e.Err, want[i])
			}
		}
		l.States("a", "pending", "t1", "far", "t2", "far", "u1", "pending", "u2", "far", "long", "pending", "empty", "none")
		l.Members("first", "t1", "t2")
		if got := l.Pending(); !slices.Equal(got, []string{"first", "there", "ended", "a", "u1", "long"}) {
			t.Errorf("pending in the order %q", got)
		}
		if got, err := record.New(l.Store).Begin(t.Context(), results.Result{ID: "long"}, true); err != nil || len(got.Body) < 5000 {
			t.Errorf("the long question is kept as %.40q, %v", got.Body, err)
		}
		if all := l.Tasks.EnqueueAll(t.Context(), nil); len(all) != 0 {
			t.Errorf("nothing became %v", all)
		}
	})
}

// A call of more than one chunk, with scripts that Redis has forgotten in between.
func TestEnqueueAllInChunks(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		const n = 620
		var items []tasks.Item
		var ids, heads []string
		for i := range n {
			id := fmt.Sprint("t", i)
			ids = append(ids, id)
			items = append(items, item(id, fmt.Sprint("lane", i%7)))
			if i < 7 {
				heads = append(heads, id)
			}
		}
		redistest.ForgetScripts(t, l.Redis)
		for _, e := range l.Tasks.EnqueueAll(t.Context(), items) {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
		}
		for lane := range 7 {
			got, err := l.Redis.ZRange(t.Context(), fmt.Sprintf("cozeq:lane:{key:bot:lane%d}", lane), 0, -1).Result()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := lane; i < n; i += 7 {
				want = append(want, "default/"+ids[i])
			}
			if !slices.Equal(got, want) {
				t.Errorf("lane %d: %q", lane, got)
			}
		}
		if got := l.Pending(); !slices.Equal(got, heads) {
			t.Errorf("pending %q", got)
		}
		for i, e := range l.Tasks.EnqueueAll(t.Context(), items) {
			if !errors.Is(e.Err, tasks.ErrDuplicate) {
				t.Fatalf("item %d again: %v", i, e.Err)
			}
		}
	})
}

func TestFirstErr(t *testing.T) {
	for _, tt := range []struct {
		outcomes tasks.Outcomes
		want     error
	}{
		{nil, nil},
		{tasks.Outcomes{{ID: "a"}, {ID: "b"}}, nil},
		{tasks.Outcomes{{ID: "a"}, {ID: "b", Err: tasks.ErrDuplicate}, {ID: "c", Err: io.EOF}}, tasks.ErrDuplicate},
	} {
		if err := tt.outcomes.FirstErr(); err != tt.want {
			t.Errorf("%v: %v, want %v", tt.outcomes, err, tt.want)
		}
	}
}

// A call that was cut off anywhere is repeated: each task is there once, each turn in
// its place.
func TestEnqueueAllFails(t *testing.T) {
	items := []tasks.Item{
		item("a", ""), item("t1", "talk"), item("t2", "talk"), item("u1", "other"), item("b", ""), item("t3", "talk"), item("u2", "other"),
	}
	tasktest.EachFault(t, func(t *testing.T, l *tasktest.Line, n int, what redistest.Fate) bool {
		l.Enqueue(tasktest.Turn("talk"), "head")
		enqueue := func(c *tasks.Client) (err error) {
			for _, e := range c.EnqueueAll(context.Background(), items) {
				if !errors.Is(e.Err, tasks.ErrDuplicate) {
					err = errors.Join(err, e.Err)
				}
			}
			return err
		}
		hit, err := tasktest.Faulty(t, l.Redis, n, what, enqueue)
		switch {
		case hit && what != redistest.Twice && err == nil:
			t.Error("a failed call went unnoticed")
		case (!hit || what == redistest.Twice) && err != nil:
			t.Errorf("got %v", err)
		}
		if err := enqueue(tasks.NewClient(l.Store)); err != nil {
			t.Errorf("the repetition gave %v", err)
		}
		l.States("a", "pending", "b", "pending", "t1", "far", "t2", "far", "t3", "far", "u1", "pending", "u2", "far")
		l.Members("head", "t1", "t2", "t3")
		if got := l.Pending(); len(got) != 4 {
			t.Errorf("pending %q", got)
		}
		for _, it := range items {
			info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, it.Options.ID)
			if err != nil {
				t.Fatal(err)
			}
			chat, err := tasks.Decode(info.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if name := chat.Lane(); name != "" {
				at, _, err := l.Lanes.Rejoin(t.Context(), lane.Place{Lane: name, Queue: tasks.QueueDefault, ID: it.Options.ID}, 0)
				if err != nil || at != chat.LaneSeq {
					t.Errorf("%s: the payload says place %d, the lane %d, %v", it.Options.ID, chat.LaneSeq, at, err)
				}
			}
			if s := l.Status(it.Options.ID); s != results.Queued {
				t.Errorf("%s is %s", it.Options.ID, s)
			}
		}
		return hit
	})
}

// unheard is a Redis whose reply about one key is lost, once.
type unheard struct {
	mu  sync.Mutex
	key string
}

func (u *unheard) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (u *unheard) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (u *unheard) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, cmd := range cmds {
			if u.key != "" && slices.Contains(cmd.Args(), any(u.key)) {
				u.key = ""
				cmd.SetErr(io.ErrUnexpectedEOF)
			}
		}
		return err
	}
}

// A turn of which nobody knows whether it has a record holds back those behind it in
// its conversation, in this call and in this chunk and the next, and nobody else.
func TestEnqueueAllHoldsBack(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		client, ok := l.Redis.(*redis.Client)
		if !ok {
			t.Skip("the hook is for one server")
		}
		var items []tasks.Item
		for i := range 300 {
			items = append(items, item(fmt.Sprint("t", i), []string{"talk", "other", ""}[i%3]))
		}
		l.Must(l.Tasks.EnqueueAll(t.Context(), items[297:])[2].Err) // the scripts are known
		client.AddHook(&unheard{key: results.Key("t30")})
		for i, e := range l.Tasks.EnqueueAll(t.Context(), items[:297]) {
			held := i >= 30 && i%3 == 0
			if held != (e.Err != nil) || held && !errors.Is(e.Err, io.ErrUnexpectedEOF) {
				t.Errorf("turn %d: %v", i, e.Err)
			}
		}
		for _, e := range l.Tasks.EnqueueAll(t.Context(), items[:297]) {
			if e.Err != nil && !errors.Is(e.Err, tasks.ErrDuplicate) {
				t.Error(e.Err)
			}
		}
		want := []string{"t297"}
		for i := 0; i < 297; i += 3 {
			want = append(want, fmt.Sprint("t", i))
		}
		l.Members(want...)
	})
}

// before runs f once, before the first pipeline that reads a record.
type before struct{ f func() }

func (b *before) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (b *before) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b *before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if f := b.f; f != nil && strings.EqualFold(cmds[0].Name(), "hgetall") {
			b.f = nil
			f()
		}
		return next(ctx, cmds)
	}
}

// A question that ends while somebody enqueues it again is in no queue afterwards.
func TestDuplicateEndsMeanwhile(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		client, ok := l.Redis.(*redis.Client)
		if !ok {
			t.Skip("the hook is for one server")
		}
		l.Enqueue(tasks.Ask("bot", "why?"), "t1")
		l.Take("t1")
		client.AddHook(&before{f: func() {
			l.Answer("t1")
			l.Leave("t1", "", time.Now())
		}})
		if _, err := l.Tasks.Enqueue(t.Context(), tasks.Ask("bot", "why?"), tasks.Options{ID: "t1"}); !errors.Is(err, tasks.ErrDuplicate) {
			t.Errorf("error %v, want ErrDuplicate", err)
		}
		if info, err := l.Inspector.GetTaskInfo(tasks.QueueDefault, "t1"); err == nil {
			t.Errorf("its task is %v", info.State)
		}
	})
}

// BenchmarkEnqueueAll compares one Enqueue a question from one goroutine with
// EnqueueAll on the same Redis, in turns, so that a busy machine slows both. "times" is
// the ratio of their rates.
func BenchmarkEnqueueAll(b *testing.B) {
	for _, kind := range []string{"plain", "lanes"} {
		b.Run(kind, func(b *testing.B) {
			l := tasktest.New(b, redistest.Start(b).Client())
			const n = 1000
			items := func(round, half int) []tasks.Item {
				all := make([]tasks.Item, n)
				for i := range all {
					key := ""
					if kind == "lanes" {
						key = fmt.Sprintf("talk %d.%d.%d", round, half, i%100)
					}
					chat := tasktest.Turn(key)
					chat.AdditionalMessages[0].Content = strings.Repeat("why is that so? ", 12)
					all[i] = tasks.Item{Chat: chat, Options: tasks.Options{ID: fmt.Sprintf("t%d.%d.%d", round, half, i)}}
				}
				return all
			}
			var single, all time.Duration
			round := 0
			for b.Loop() {
				one, many := items(round, 0), items(round, 1)
				began := time.Now()
				for _, it := range one {
					if _, err := l.Tasks.Enqueue(b.Context(), it.Chat, it.Options); err != nil {
						b.Fatal(err)
					}
				}
				single += time.Since(began)
				began = time.Now()
				for _, e := range l.Tasks.EnqueueAll(b.Context(), many) {
					if e.Err != nil {
						b.Fatal(e.Err)
					}
				}
				all += time.Since(began)
				round++
			}
			rate := func(d time.Duration) float64 { return float64(n*round) / d.Seconds() }
			b.ReportMetric(rate(single), "single/s")
			b.ReportMetric(rate(all), "all/s")
			b.ReportMetric(rate(all)/rate(single), "times")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestInsteadOf: a task takes the place of a failed turn that keeps its conversation waiting. Once that has left, nothing does.
func TestInsteadOf(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		l.Enqueue(tasktest.Turn("talk"), "failed")
		l.Enqueue(tasktest.Turn("talk"), "next")
		l.Take("failed")
		l.Leave("failed", "archived", time.Now())
		for _, id := range []string{"again", "late"} {
			o := tasks.Options{ID: id, InsteadOf: "failed"}
			if _, err := l.Tasks.Enqueue(t.Context(), tasktest.Turn("talk"), o); err != nil {
				t.Fatal(err)
			}
			if id == "again" {
				l.Members("again", "next")
			}
		}
		l.Members("again", "next", "late")
		l.States("failed", "none", "again", "pending", "next", "far", "late", "far")
	})
}
