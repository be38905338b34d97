package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// A master that dies is the easy case: its connections break. One that freezes, or is
// cut off, keeps them open and says nothing, and comes back later with what it held
// for true. The scripts redis_sentinel and redis_cluster of cmd/cozeq have the first.

// TestSentinelFrozenMaster freezes a master in the middle of chats.
func TestSentinelFrozenMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s: commands to the frozen master must time out")
	}
	t.Parallel()
	group := redistest.StartSentinel(t)
	old := group.Master()
	frozenMaster(t, group.Client(), old, func() { group.AwaitFailover(old) })
	if group.Replica() != old {
		t.Error("the old master did not become a replica")
	}
}

// TestClusterFrozenMaster freezes the master of a cluster that has the queue.
func TestClusterFrozenMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s: commands to the frozen master must time out")
	}
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.Replicas(1))
	old := cluster.Owner("asynq:{default}:pending")
	frozenMaster(t, cluster.Client(), old, func() { cluster.AwaitFailover(old) })
}

func frozenMaster(t *testing.T, rdb redis.UniversalClient, old *redistest.Server, failedOver func()) {
	const questions, turns = 24, 4
	l := newLine(t, rdb, cozetest.With(cozetest.Config{Latency: 500 * time.Millisecond, DeltaPace: 20 * time.Millisecond}))
	l.work()
	l.work()
	ids := make([]string, questions)
	for i := range ids {
		chat := tasks.Ask("bot", fmt.Sprint("question ", i))
		if i%2 == 0 {
			chat.ConversationKey = fmt.Sprint("talk ", i/2%(questions/2/turns))
		}
		ids[i] = l.enqueue(chat, tasks.Options{})
	}
	awaittest.Until(t, "some chats", func() bool { return l.fake.Accepted() >= questions/3 })
	old.Pause()
	failedOver()
	for _, id := range ids {
		if r := outlast(l, id); r.Status != results.Completed || r.Attempts != 1 || r.PossibleDuplicate {
			t.Errorf("got %+v", r)
		}
	}
	old.Resume()
	for i := range 5 { // it thinks that it is the master still
		id := l.enqueue(tasks.Ask("bot", fmt.Sprint("after ", i)), tasks.Options{})
		if r := outlast(l, id); r.Status != results.Completed {
			t.Errorf("got %+v", r)
		}
	}
	if n := l.fake.Accepted(); n != questions+5 {
		t.Errorf("%d chats, want %d", n, questions+5)
	}
}

// outlast waits for a result; a wait that Redis cut off is begun anew.
func outlast(l *line, id string) *results.Result {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	for {
		r, err := l.store.Wait(ctx, id)
		if err == nil {
			return r
		}
		if ctx.Err() != nil || errors.Is(err, results.ErrNotFound) {
			l.t.Fatalf("wait for %s: %v", id, err)
		}
	}
}
