package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/localredis"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// faulty runs f as a process of its own whose nth call to Redis has this fate, and
// reports whether there was one. Faults are made on the embedded store only: what
// Redis is does not matter to them.
func faulty(t *testing.T, rdb redis.UniversalClient, n int, what redistest.Fate, f func(c *tasks.Client) error) (hit bool, err error) {
	return faultyOn(t, rdb, n, what, func(rdb redis.UniversalClient) error { return f(tasks.NewClient(rdb, results.NewStore(rdb))) })
}

// faultyOn is faulty for more than a client.
func faultyOn(t *testing.T, rdb redis.UniversalClient, n int, what redistest.Fate, f func(rdb redis.UniversalClient) error) (hit bool, err error) {
	s := redistest.NewStage(rdb)
	s.Enter("process", func(a *redistest.Actor) { err = f(a.Redis) })
	for i := 1; len(s.Actors) > 0; i++ {
		if i == n {
			hit = true
			s.Step(s.Actors[0], what)
		} else {
			s.Step(s.Actors[0], redistest.Answered)
		}
	}
	return hit, err
}

// eachFault runs f for each call and each fate, on an empty store each time, until
// f says that there was no such call.
func eachFault(t *testing.T, f func(t *testing.T, l *line, n int, what redistest.Fate) (hit bool)) {
	for _, what := range []redistest.Fate{redistest.Unsent, redistest.Unheard, redistest.Twice} {
		for n, hit := 1, true; hit; n++ {
			t.Run(fmt.Sprintf("call %d %s", n, what), func(t *testing.T) {
				s, err := localredis.Start()
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				hit = f(t, newLine(t, s.Client()), n, what)
			})
			if n > 50 {
				t.Fatal("it does not end")
			}
		}
	}
}

// An Enqueue that failed, wherever that was, is repeated with the same id: there is
// one task, where it belongs.
func TestEnqueueFails(t *testing.T) {
	const id = "t1"
	long := tasks.Ask("bot", strings.Repeat("a", 4000))
	tests := []struct {
		name          string
		chat          *tasks.Chat
		before, after func(l *line) // before it, and between it and its repetition
		want          string
		members       []string
	}{
		{"plain", tasks.Ask("bot", "why?"), nil, nil, "pending", nil},
		{"long", long, nil, nil, "pending", nil},
		{"head of a lane", turn("talk"), nil, nil, "pending", []string{id}},
		{"behind a head", turn("talk"),
			func(l *line) { l.enqueue(turn("talk"), "head") }, nil, "far", []string{"head", id}},
		{"behind a head that leaves", turn("talk"),
			func(l *line) { l.enqueue(turn("talk"), "head") },
			func(l *line) {
				l.take("head")
				l.answer("head")
				l.must(l.lanes.Leave(l.t.Context(), place("head")))
				l.leave("head", "", noTime)
			}, "pending", []string{id}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachFault(t, func(t *testing.T, l *line, n int, what redistest.Fate) bool {
				if tt.before != nil {
					tt.before(l)
				}
				enqueue := func(c *tasks.Client) error {
					got, err := c.Enqueue(context.Background(), tt.chat, tasks.Options{ID: id})
					if err == nil && got != id {
						t.Errorf("got %q", got)
					}
					return err
				}
				hit, err := faulty(t, l.rdb, n, what, enqueue)
				switch {
				case hit && what != redistest.Twice && err == nil:
					t.Error("a failed call went unnoticed")
				case (!hit || what == redistest.Twice) && err != nil:
					// go-redis sends again by itself; nobody is to hear of it.
					t.Errorf("got %v", err)
				}
				if tt.after != nil {
					tt.after(l)
				}
				// Its process is started again.
				if err := enqueue(tasks.NewClient(l.rdb, l.store)); err != nil && !errors.Is(err, tasks.ErrDuplicate) {
					t.Errorf("the repetition gave %v", err)
				}
				l.states(id, tt.want)
				l.members(tt.members...)
				if s := l.status(id); s != results.Queued {
					t.Errorf("it is %s", s)
				}
				info, err := l.inspector.GetTaskInfo(tasks.QueueDefault, id)
				if err != nil {
					t.Fatal(err)
				}
				chat, err := tasks.Decode(info.Payload)
				if err != nil {
					t.Fatal(err)
				}
				if len(tt.members) > 0 {
					at, _, err := l.lanes.Rejoin(t.Context(), place(id), 0)
					if err != nil || at != chat.LaneSeq {
						t.Errorf("the payload says place %d, the lane %d, %v", chat.LaneSeq, at, err)
					}
				}
				if chat.HasBody() {
					a, err := l.store.Begin(t.Context(), chat.Record(id, tasks.QueueDefault), true)
					if err != nil {
						t.Fatal(err)
					}
					if err := chat.SetBody(a.Body); err != nil {
						t.Error(err)
					}
				}
				queued := l.rdb.LLen(t.Context(), "asynq:{default}:pending").Val() + l.rdb.ZCard(t.Context(), "asynq:{default}:scheduled").Val()
				if want := max(1, int64(len(tt.members))); queued != want {
					t.Errorf("%d tasks in the queue, want %d", queued, want)
				}
				return hit
			})
		})
	}
}

// A Cancel that failed is repeated: the task has ended, is in no queue, and the
// next turn is on.
func TestCancelFails(t *testing.T) {
	eachFault(t, func(t *testing.T, l *line, n int, what redistest.Fate) bool {
		for _, id := range []string{"head", "middle", "last"} {
			l.enqueue(turn("talk"), id)
		}
		cancel := func(c *tasks.Client) error {
			_, err := c.Cancel(context.Background(), "head")
			return err
		}
		hit, _ := faulty(t, l.rdb, n, what, cancel)
		if err := cancel(l.client); err != nil {
			t.Error(err)
		}
		if s := l.status("head"); s != results.Canceled {
			t.Errorf("it is %s", s)
		}
		l.states("head", "none", "middle", "pending", "last", "far")
		l.members("middle", "last")
		return hit
	})
}
