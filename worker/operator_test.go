package worker_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/awaittest"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// TestPauseQueue pauses and resumes as an operator does, with and without a pause of
// cozeq's own.
func TestPauseQueue(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		ctx := t.Context()
		state := func(paused, ours bool) {
			t.Helper()
			p, ok, err := worker.PausedQueue(ctx, rdb, tasks.QueueDefault)
			if err != nil || ok != paused || ok == p.Since.IsZero() || (len(p.Credentials) > 0) != ours {
				t.Fatalf("%+v %v %v, want paused %v, by cozeq %v", p, ok, err, paused, ours)
			}
		}
		do := func(f func() (bool, error), want bool) {
			t.Helper()
			if got, err := f(); got != want || err != nil {
				t.Fatalf("%v %v, want %v", got, err, want)
			}
		}
		pause := func() (bool, error) { return worker.PauseQueue(ctx, rdb, tasks.QueueDefault) }
		resume := func() (bool, error) { return worker.ResumeQueue(ctx, rdb, tasks.QueueDefault) }

		state(false, false)
		do(resume, false)
		do(pause, true)
		do(pause, false)
		state(true, false)
		if names, err := asynq.NewInspectorFromRedisClient(rdb).Queues(); err != nil || !slices.Contains(names, tasks.QueueDefault) {
			t.Errorf("asynqmon shows only %v, %v", names, err)
		}
		do(resume, true)
		state(false, false)

		// Ours is not resumed, only probed; but an operator may make it theirs.
		l.rules(cozetest.Rule{Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4028}})
		id := l.enqueue(tasks.Ask("bot", "question"), tasks.Options{})
		l.work()
		awaittest.Until(t, "our pause", func() bool { return l.queue().Paused })
		state(true, true)
		do(resume, false)
		do(pause, true)
		state(true, false)
		do(pause, false)
		l.rules()
		do(resume, true)
		if n, err := worker.ProbeNow(ctx, rdb); n != 1 || err != nil {
			t.Fatalf("%d pauses, %v", n, err)
		}
		l.completed(id)
		awaittest.Until(t, "the end of the pause", func() bool { return len(l.paused()) == 0 })
	})
}

// TestHolds asks which of many tasks wait for the end of a pause.
func TestHolds(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		l.rules(cozetest.Rule{Contains: "bad", Fault: cozetest.Fault{Kind: cozetest.Refuse, Code: 4015}})
		good := l.enqueue(tasks.Ask("good", "good"), tasks.Options{})
		first := l.enqueue(tasks.Ask("bad", "bad 1"), tasks.Options{})
		last := l.enqueue(tasks.Ask("bad", "bad 2"), tasks.Options{})
		l.work()
		l.wait(good)
		awaittest.Until(t, "both to step aside", func() bool { p := l.paused(); return len(p) == 1 && p[0].Aside == 2 })
		ids := []string{first, good}
		for i := range 2500 { // more than are looked up in one go
			ids = append(ids, fmt.Sprint("other-", i))
		}
		ids = append(ids, last)
		held, err := l.paused()[0].Holds(t.Context(), rdb, tasks.QueueDefault, ids)
		if err != nil || len(held) != len(ids) {
			t.Fatalf("%d of %d told, %v", len(held), len(ids), err)
		}
		for i, h := range held {
			if want := i == 0 || i == len(ids)-1; h != want {
				t.Errorf("%s held: %v, want %v", ids[i], h, want)
			}
		}
		if held, err := l.paused()[0].Holds(t.Context(), rdb, tasks.QueueLow, []string{first}); err != nil || held[0] {
			t.Errorf("in another queue: %v %v", held, err)
		}
	})
}
