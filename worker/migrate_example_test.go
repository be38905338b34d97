package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// The handler of an older task type hands its tasks over to a worker, so that what is
// queued moves when its turn comes, under the id that it has. Both use one Redis, and no
// queue is served by both.
func Example_migrate() {
	server, err := embeddedredis.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	rdb := server.Client()
	fake, err := cozetest.Start("", cozetest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	ctx, stop := context.WithCancel(context.Background())
	store := results.NewStore(rdb)
	defer store.Close()

	// The program as it was, but for its handler.
	old := asynq.NewServerFromRedisClient(rdb, asynq.Config{Queues: map[string]int{"chats": 1}, LogLevel: asynq.FatalLevel})
	mux := asynq.NewServeMux()
	mux.Handle("chat:ask", forward(tasks.NewClient(store)))
	if err := old.Start(mux); err != nil {
		log.Fatal(err)
	}
	defer old.Shutdown()
	payload := []byte(`{"user": "li", "question": "Why is the sky blue?"}`)
	_, err = asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask("chat:ask", payload), asynq.Queue("chats"), asynq.TaskID("ask-1"))
	if err != nil {
		log.Fatal(err)
	}

	w, err := worker.New(worker.Config{
		Redis: rdb, Coze: fake.Client(), BotID: "7461001", Queues: map[string]int{"coze": 1},
	})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()

	waiter := results.NewStore(rdb)
	defer waiter.Close()
	r, err := waiter.Wait(ctx, "ask-1")
	for errors.Is(err, results.ErrNotFound) { // not forwarded yet
		r, err = waiter.Wait(ctx, "ask-1")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.ID, r.Status, r.UserID)

	stop()
	fmt.Println(<-ended)
	// Output:
	// ask-1 completed li
	// <nil>
}

// forward is the old task type's handler from now on.
func forward(client *tasks.Client) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		var a struct{ User, Conversation, Question string }
		if err := json.Unmarshal(t.Payload(), &a); err != nil {
			return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
		}
		chat := tasks.Ask("", a.Question)
		chat.UserID, chat.ConversationID = a.User, a.Conversation
		id, _ := asynq.GetTaskID(ctx)
		_, err := client.Enqueue(ctx, chat, tasks.Options{ID: id, Queue: "coze"})
		if errors.Is(err, tasks.ErrDuplicate) {
			return nil // moved by an earlier attempt
		}
		if _, ok := errors.AsType[*tasks.InvalidError](err); ok {
			return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
		}
		return err
	}
}
