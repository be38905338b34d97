package asynqx

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
)

// version of asynq that this package was written for.
const version = "v0.26."

func TestVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "github.com/hibiken/asynq "+version) {
		t.Errorf("go.mod has another asynq than %s: read its changes beside the package comment, then change this test", version)
	}
}

// TestContract holds what this package takes for granted of asynq against asynq itself.
func TestContract(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const queue, credential = "contract", "c1"
		ctx, inspector := t.Context(), asynq.NewInspectorFromRedisClient(rdb)
		submit := func(id string) {
			t.Helper()
			s := &Submission{Task: asynq.NewTask("type", []byte("payload")), Options: []asynq.Option{asynq.TaskID(id), asynq.Queue(queue)}}
			if NewBulk(rdb).Submit(ctx, []*Submission{s}); s.Err != nil {
				t.Fatal(s.Err)
			}
		}

		submit("first")
		if ids, err := rdb.LRange(ctx, Key(queue, "pending"), 0, -1).Result(); err != nil || len(ids) != 1 || ids[0] != "first" {
			t.Errorf("pending: %v, %v", ids, err)
		}
		raw, err := rdb.HGet(ctx, Key(queue, "t:first"), "msg").Result()
		if id, in, ok := Message(raw); err != nil || !ok || id != "first" || in != queue {
			t.Errorf("message of %q in %q, %v, %v", id, in, ok, err)
		}
		if _, err := inspector.GetTaskInfo(queue, "first"); err != nil {
			t.Error(err)
		}

		pauses := QueuePauses{Redis: rdb}
		if fresh, err := pauses.Pause(ctx, queue, credential); err != nil || !fresh {
			t.Errorf("pause: %v, %v", fresh, err)
		}
		if info, err := inspector.GetQueueInfo(queue); err != nil || !info.Paused {
			t.Errorf("asynq does not see the pause: %+v, %v", info, err)
		}
		if err := inspector.PauseQueue(queue); err == nil {
			t.Error("asynq pauses a paused queue once more")
		}

		// The server asks through the Poller: while its credential is paused it gets a task for each probe, then all.
		poller := NewPoller(rdb, []string{queue}, func() bool { return false })
		poller.Serves([]string{credential})
		got := make(chan string)
		server := asynq.NewServerFromRedisClient(poller.Client(), asynq.Config{
			Concurrency: 1, Queues: map[string]int{queue: 1}, TaskCheckInterval: time.Microsecond, DelayedTaskCheckInterval: time.Millisecond, LogLevel: asynq.FatalLevel,
		})
		watch, stop := context.WithCancel(ctx)
		defer stop()
		go poller.Watch(watch)
		err = server.Start(asynq.HandlerFunc(func(ctx context.Context, _ *asynq.Task) error {
			id, _ := asynq.GetTaskID(ctx)
			select {
			case got <- id:
			case <-watch.Done():
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Shutdown()
		defer poller.Close()
		if err := pauses.Probe(ctx, []string{queue}, credential); err != nil {
			t.Fatal(err)
		}
		if id := <-got; id != "first" {
			t.Errorf("got %s", id)
		}
		if poller.take.script.Load() == nil {
			t.Error("asynq's dequeue script was not recognised")
		}
		for poller.forward.script.Load() == nil { // asynq's script for what falls due is recognised
			time.Sleep(time.Millisecond)
		}
		submit("second")
		if note, err := pauses.Note(ctx, queue); err != nil || !note.Stands || len(note.Credentials) != 1 {
			t.Errorf("note %+v, %v", note, err)
		}
		if work, err := poller.peek(ctx); err != nil || work {
			t.Errorf("the queue is open: %v, %v, want it paused and the probe spent", work, err)
		}
		if err := pauses.Resume(ctx, queue, credential); err != nil {
			t.Fatal(err)
		}
		if id := <-got; id != "second" {
			t.Errorf("got %s", id)
		}

		servers, err := inspector.Servers()
		if err != nil || len(servers) == 0 {
			t.Fatalf("servers %v, %v", servers, err)
		}
		if _, err := rdb.ZScore(ctx, ServersKey, ServerKey(servers[0].Host, servers[0].PID, servers[0].ID)).Result(); err != nil {
			t.Errorf("key of a server: %v", err)
		}
	})
}
