package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cozeq/cozeq/internal/localredis"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// join puts turns into the lane without enqueueing them.
func (l *line) join(ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		if _, _, err := l.lanes.Join(l.t.Context(), place(id), 0); err != nil {
			l.t.Fatal(err)
		}
	}
}

// Each producer's turns keep their order however many join at the same time.
func TestJoinInOrder(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		const producers, turns = 8, 25
		var all sync.WaitGroup
		for p := range producers {
			lanes := tasks.NewLanes(l.rdb)
			all.Go(func() {
				last := int64(0)
				for n := range turns {
					at, _, err := lanes.Join(t.Context(), place(fmt.Sprintf("%d.%d", p, n)), 0)
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
			head, ok, err := l.lanes.Head(t.Context(), laneTalk)
			if err != nil || !ok {
				t.Fatalf("head %v, %v", ok, err)
			}
			var p, n int
			if _, err := fmt.Sscanf(head.ID, "%d.%d", &p, &n); err != nil {
				t.Fatal(err)
			}
			if n != next[p] || head.Queue != tasks.QueueDefault || head.Lane != laneTalk {
				t.Fatalf("producer %d: turn %+v, want %d", p, head, next[p])
			}
			next[p]++
			l.must(l.lanes.Leave(t.Context(), head))
		}
		if _, ok, err := l.lanes.Head(t.Context(), laneTalk); ok || err != nil {
			t.Errorf("the lane is not empty: %v, %v", ok, err)
		}
	})
}

// A clock that is behind does not let a turn overtake.
func TestJoinBehindTheFuture(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		future := time.Now().Add(time.Hour).UnixMicro()
		if at, head, err := l.lanes.Join(t.Context(), place("a"), future); at != future || !head || err != nil {
			t.Fatalf("%d, %v, %v", at, head, err)
		}
		if at, head, err := l.lanes.Join(t.Context(), place("b"), 0); at != future+1 || head || err != nil {
			t.Errorf("%d, %v, %v; want %d", at, head, err, future+1)
		}
		// Joining again changes nothing, whatever place is asked for.
		if at, head, err := l.lanes.Join(t.Context(), place("b"), 5); at != future+1 || head || err != nil {
			t.Errorf("again: %d, %v, %v", at, head, err)
		}
		if at, head, err := l.lanes.Rejoin(t.Context(), place("c"), 5); at != 5 || !head || err != nil {
			t.Errorf("at its old place: %d, %v, %v", at, head, err)
		}
		l.members("c", "a", "b")
		if left := l.rdb.TTL(t.Context(), "cozeq:lane:{"+laneTalk+"}").Val(); left < 29*24*time.Hour {
			t.Errorf("the lane is kept for %v", left)
		}
	})
}

func TestLeave(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		for _, id := range []string{"a", "b", "c", "d"} {
			l.enqueue(turn("talk"), id)
		}
		leave := func(id string) {
			t.Helper()
			l.must(l.lanes.Leave(t.Context(), place(id)))
		}
		l.states("a", "pending", "b", "far", "c", "far", "d", "far")
		leave("c") // from the middle: nobody's turn changes
		l.members("a", "b", "d")
		l.states("a", "pending", "b", "far", "c", "far", "d", "far")
		leave("a")
		l.members("b", "d")
		l.states("b", "pending", "d", "far")
		leave("a") // again: its first leaver may have died before it ran b
		l.states("b", "pending", "d", "far")
		leave("nobody")
		l.members("b", "d")
		l.take("a")
		l.take("b")
		leave("b")
		leave("b") // d is pending by now
		l.take("d")
		leave("b") // d is active by now
		l.states("d", "active")
		leave("d")
		leave("d")
		l.members()
	})
}

// A worker dies after its turn left the lane and before it ran the next.
func TestHandOnLost(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.enqueue(turn("talk"), "a")
		l.enqueue(turn("talk"), "b")
		l.must(l.rdb.ZRem(t.Context(), "cozeq:lane:{"+laneTalk+"}", "default/a").Err())
		l.states("b", "far")
		l.must(l.lanes.Leave(t.Context(), place("a"))) // by who gets the task next
		l.states("b", "pending")
	})
}

// The head leaves between the two steps of the next turn's producer, which runs it;
// or dies before it can, and runs it when it is started again.
func TestHeadLeavesBeforeEnqueue(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint("dies ", dies), func(t *testing.T) {
			s, err := localredis.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			l := newLine(t, s.Client())
			l.enqueue(turn("talk"), "a")
			st := redistest.NewStage(l.rdb)
			defer st.Clear()
			st.Enter("producer", func(a *redistest.Actor) {
				client := tasks.NewClient(a.Redis, results.NewStore(a.Redis))
				_, err := client.Enqueue(context.Background(), turn("talk"), tasks.Options{ID: "b"})
				if err != nil && !dies {
					t.Error(err)
				}
			})
			for l.rdb.ZCard(t.Context(), "cozeq:lane:{"+laneTalk+"}").Val() < 2 {
				st.Step(st.Actors[0], redistest.Answered)
			}
			l.must(l.lanes.Leave(t.Context(), place("a"))) // runs nobody: asynq does not know b
			for l.state("b") == "none" {
				st.Step(st.Actors[0], redistest.Answered)
			}
			l.states("b", "far")
			if dies {
				st.Clear()
				if _, err := l.client.Enqueue(t.Context(), turn("talk"), tasks.Options{ID: "b"}); !errors.Is(err, tasks.ErrDuplicate) {
					t.Errorf("again: %v", err)
				}
			}
			for len(st.Actors) > 0 {
				st.Step(st.Actors[0], redistest.Answered)
			}
			l.states("b", "pending")
			l.members("b")
		})
	}
}

// A task that waits for something else than its turn is not hurried by a duplicate.
func TestDuplicateHurriesNobody(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.enqueue(turn("talk"), "a")
		l.take("a")
		l.leave("a", "retry", time.Now().Add(time.Minute))
		if _, err := l.client.Enqueue(t.Context(), turn("talk"), tasks.Options{ID: "a"}); !errors.Is(err, tasks.ErrDuplicate) {
			t.Errorf("got %v", err)
		}
		l.states("a", "retry")
	})
}

func TestRunOfNobody(t *testing.T) {
	each(t, func(t *testing.T, l *line) {
		l.must(l.lanes.Run(t.Context(), place("nobody"))) // no such queue
		l.enqueue(tasks.Ask("bot", "why?"), "alone")
		l.must(l.lanes.Run(t.Context(), place("nobody")))
		l.must(l.lanes.Run(t.Context(), place("alone")))
		l.states("alone", "pending")
	})
}
