package lane_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/internal/lane"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// join puts turns into the lane without enqueueing them.
func join(l *tasktest.Line, ids ...string) {
	l.T.Helper()
	for _, id := range ids {
		if _, _, err := l.Lanes.Join(l.T.Context(), tasktest.Place(id), 0); err != nil {
			l.T.Fatal(err)
		}
	}
}

// Each producer's turns keep their order however many join at the same time.
func TestJoinInOrder(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		const producers, turns = 8, 25
		var all sync.WaitGroup
		for p := range producers {
			lanes := lane.New(l.Redis)
			all.Go(func() {
				last := int64(0)
				for n := range turns {
					at, _, err := lanes.Join(t.Context(), tasktest.Place(fmt.Sprintf("%d.%d", p, n)), 0)
					if err != nil || at <= last {
						t.Errorf("place %d after %d, %v", at, last, err)
					}
					last = at
				}
			})
		}
		all.Wait()
		next := make([]int, producers)
		for range producers * turns {
			heads, err := l.Lanes.Heads(t.Context(), []string{tasktest.Talk})
			if err != nil || heads[0] == (lane.Place{}) {
				t.Fatalf("heads %v, %v", heads, err)
			}
			head := heads[0]
			var p, n int
			if _, err := fmt.Sscanf(head.ID, "%d.%d", &p, &n); err != nil {
				t.Fatal(err)
			}
			if n != next[p] || head.Queue != tasks.QueueDefault || head.Lane != tasktest.Talk {
				t.Fatalf("producer %d: turn %+v, want %d", p, head, next[p])
			}
			next[p]++
			l.Must(l.Lanes.Leave(t.Context(), head))
		}
		l.Members()
	})
}

// A clock that is behind does not let a turn overtake.
func TestJoinBehindTheFuture(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		future := time.Now().Add(time.Hour).UnixMicro()
		if at, head, err := l.Lanes.Join(t.Context(), tasktest.Place("a"), future); at != future || !head || err != nil {
			t.Fatalf("%d, %v, %v", at, head, err)
		}
		if at, head, err := l.Lanes.Join(t.Context(), tasktest.Place("b"), 0); at != future+1 || head || err != nil {
			t.Errorf("%d, %v, %v; want %d", at, head, err, future+1)
		}
		// Joining again changes nothing, whatever place is asked for.
		if at, head, err := l.Lanes.Join(t.Context(), tasktest.Place("b"), 5); at != future+1 || head || err != nil {
			t.Errorf("again: %d, %v, %v", at, head, err)
		}
		if at, head, err := l.Lanes.Rejoin(t.Context(), tasktest.Place("c"), 5); at != 5 || !head || err != nil {
			t.Errorf("at its old place: %d, %v, %v", at, head, err)
		}
		l.Members("c", "a", "b")
		if left := l.Redis.TTL(t.Context(), "cozeq:lane:{"+tasktest.Talk+"}").Val(); left < 29*24*time.Hour {
			t.Errorf("the lane is kept for %v", left)
		}
	})
}

func TestLeave(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		for _, id := range []string{"a", "b", "c", "d"} {
			l.Enqueue(tasktest.Turn("talk"), id)
		}
		leave := func(id string) {
			t.Helper()
			l.Must(l.Lanes.Leave(t.Context(), tasktest.Place(id)))
		}
		l.States("a", "pending", "b", "far", "c", "far", "d", "far")
		leave("c") // from the middle: nobody's turn changes
		l.Members("a", "b", "d")
		l.States("a", "pending", "b", "far", "c", "far", "d", "far")
		leave("a")
		l.Members("b", "d")
		l.States("b", "pending", "d", "far")
		leave("a") // again: its first leaver may have died before it ran b
		l.States("b", "pending", "d", "far")
		leave("nobody")
		l.Members("b", "d")
		l.Take("a")
		l.Take("b")
		leave("b")
		leave("b") // d is pending by now
		l.Take("d")
		leave("b") // d is active by now
		l.States("d", "active")
		leave("d")
		leave("d")
		l.Members()
	})
}

// The last chat is that of the turn that left last and had one.
func TestLastChat(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		join(l, "a", "b", "c")
		for _, step := range []struct{ id, chat, want string }{{"a", "chat 1", "chat 1"}, {"b", "", "chat 1"}, {"c", "chat 2", "chat 2"}} {
			l.Must(l.Lanes.LeaveAfter(t.Context(), tasktest.Place(step.id), step.chat))
			if got, err := l.Lanes.LastChat(t.Context(), tasktest.Talk); got != step.want || err != nil {
				t.Errorf("after %s: %q, %v; want %q", step.id, got, err, step.want)
			}
		}
		if left := l.Redis.TTL(t.Context(), "cozeq:lastchat:{"+tasktest.Talk+"}").Val(); left <= 0 || left > 10*time.Minute {
			t.Errorf("kept for %v", left)
		}
		if got, err := l.Lanes.LastChat(t.Context(), "another"); got != "" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A worker dies after its turn left the lane and before it ran the next.
func TestHandOnLost(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		l.Enqueue(tasktest.Turn("talk"), "a")
		l.Enqueue(tasktest.Turn("talk"), "b")
		l.Must(l.Redis.ZRem(t.Context(), "cozeq:lane:{"+tasktest.Talk+"}", "default/a").Err())
		l.States("b", "far")
		l.Must(l.Lanes.Leave(t.Context(), tasktest.Place("a"))) // by who gets the task next
		l.States("b", "pending")
	})
}

// The head leaves between the two steps of the next turn's producer, which runs it;
// or dies before it can, and runs it when it is started again.
func TestHeadLeavesBeforeEnqueue(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint("dies ", dies), func(t *testing.T) {
			s, err := embeddedredis.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			l := tasktest.New(t, s.Client())
			l.Enqueue(tasktest.Turn("talk"), "a")
			st := redistest.NewStage(l.Redis)
			defer st.Clear()
			st.Enter("producer", func(a *redistest.Actor) {
				client := tasks.NewClient(results.NewStore(a.Redis))
				_, err := client.Enqueue(context.Background(), tasktest.Turn("talk"), tasks.Options{ID: "b"})
				if err != nil && !dies {
					t.Error(err)
				}
			})
			for l.Redis.ZCard(t.Context(), "cozeq:lane:{"+tasktest.Talk+"}").Val() < 2 {
				st.Step(st.Actors[0], redistest.Answered)
			}
			l.Must(l.Lanes.Leave(t.Context(), tasktest.Place("a"))) // runs nobody: asynq does not know b
			for l.State("b") == "none" {
				st.Step(st.Actors[0], redistest.Answered)
			}
			l.States("b", "far")
			if dies {
				st.Clear()
				if _, err := l.Tasks.Enqueue(t.Context(), tasktest.Turn("talk"), tasks.Options{ID: "b"}); !errors.Is(err, tasks.ErrDuplicate) {
					t.Errorf("again: %v", err)
				}
			}
			for len(st.Actors) > 0 {
				st.Step(st.Actors[0], redistest.Answered)
			}
			l.States("b", "pending")
			l.Members("b")
		})
	}
}

// A task that waits for something else than its turn is not hurried by a duplicate.
func TestDuplicateHurriesNobody(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		l.Enqueue(tasktest.Turn("talk"), "a")
		l.Take("a")
		l.Leave("a", "retry", time.Now().Add(time.Minute))
		if _, err := l.Tasks.Enqueue(t.Context(), tasktest.Turn("talk"), tasks.Options{ID: "a"}); !errors.Is(err, tasks.ErrDuplicate) {
			t.Errorf("got %v", err)
		}
		l.States("a", "retry")
	})
}

func TestRunOfNobody(t *testing.T) {
	tasktest.Each(t, func(t *testing.T, l *tasktest.Line) {
		l.Must(l.Lanes.Run(t.Context(), tasktest.Place("nobody"))) // no such queue
		l.Enqueue(tasks.Ask("bot", "why?"), "alone")
		l.Must(l.Lanes.Run(t.Context(), tasktest.Place("nobody")))
		l.Must(l.Lanes.Run(t.Context(), tasktest.Place("alone")))
		l.States("alone", "pending")
	})
}
