package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/tasks"
)

// TestOrphansBesideManyLanes has a worker die while the sweep looks at thousands of
// conversations, far from Redis: its tasks are back before all of them were looked at.
func TestOrphansBesideManyLanes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s: the sweep must come by")
	}
	t.Parallel()
	const lanes = 3000
	server := redistest.Start(t)
	near := server.Client()
	_, err := near.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.SAdd(t.Context(), "asynq:queues", tasks.QueueLow)
		for i := range lanes {
			lane := fmt.Sprintf("id:%d", i)
			p.ZAdd(t.Context(), "cozeq:lanes", redis.Z{Score: 1, Member: lane})
			joined := time.Now().Add(time.Hour).UnixMicro() // not to be dropped in this test
			p.ZAdd(t.Context(), "cozeq:lane:{"+lane+"}", redis.Z{Score: float64(joined), Member: "low/nobody"})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, server.Delay(5*time.Millisecond).Client())
	inspector := asynq.NewInspectorFromRedisClient(near)
	if err := inspector.PauseQueue(tasks.QueueLow); err != nil {
		t.Fatal(err)
	}
	id := l.enqueue(tasks.Ask("bot", "one"), tasks.Options{Queue: tasks.QueueLow})
	l.work()
	unseen := func() int64 { return near.ZCount(t.Context(), "cozeq:lanes", "1", "1").Val() }
	awaittest.Until(t, "the sweep of lanes to begin", func() bool { return unseen() < lanes })
	// As a worker leaves it that took the task and died.
	_, err = near.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.LRem(t.Context(), "asynq:{low}:pending", 0, id)
		p.LPush(t.Context(), "asynq:{low}:active", id)
		p.ZAdd(t.Context(), "asynq:{low}:lease", redis.Z{Score: float64(time.Now().Unix()), Member: id})
		p.HSet(t.Context(), "asynq:{low}:t:"+id, "state", "active")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := inspector.UnpauseQueue(tasks.QueueLow); err != nil {
		t.Fatal(err)
	}
	l.completed(id)
	if n := unseen(); n < lanes/2 {
		t.Errorf("the orphan was brought back when only %d of %d lanes were left to look at", n, lanes)
	}
}
