package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// dial stands for redis.NewClient, as examples bring their own Redis.
func dial() (rdb redis.UniversalClient, hangUp func()) {
	s, err := embeddedredis.Start()
	if err != nil {
		log.Fatal(err)
	}
	return s.Client(), func() { s.Close() }
}

// work stands for "cozeq worker", and its fake for Coze.
func work(rdb redis.UniversalClient) (stop func()) {
	fake, err := cozetest.Start("", cozetest.Config{
		Answer: func(string) string { return "Because of Rayleigh scattering." },
	})
	if err != nil {
		log.Fatal(err)
	}
	w, err := worker.New(worker.Config{Redis: rdb, Coze: fake.Client(), Concurrency: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	return func() {
		cancel()
		<-ended
		fake.Close()
	}
}

// Ask one question and wait for its answer.
func ExampleClient_Ask() {
	rdb, hangUp := dial()
	defer hangUp()
	defer work(rdb)() // some other process
	store := results.NewStore(rdb)
	defer store.Close()
	client := tasks.NewClient(store)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := client.Ask(ctx, tasks.Ask("7461001", "Why is the sky blue?"), tasks.Options{})
	switch {
	case errors.Is(err, results.ErrQuota):
		log.Fatal("top up the account")
	case err != nil:
		log.Fatal(err) // the task failed, or is in the queue still: see UnfinishedError
	}
	fmt.Println(answer.Answer)
	// Output: Because of Rayleigh scattering.
}

// Print an answer while it is written.
func ExampleClient_Stream() {
	rdb, hangUp := dial()
	defer hangUp()
	defer work(rdb)() // some other process
	store := results.NewStore(rdb)
	defer store.Close()
	client := tasks.NewClient(store)

	ctx := context.Background()
	chat := tasks.Ask("7461001", "Why is the sky blue?")
	chat.Stream = true
	id, err := client.Enqueue(ctx, chat, tasks.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for piece, err := range client.Stream(ctx, id) {
		if err != nil {
			log.Fatal(err)
		}
		if piece.Restart {
			fmt.Println() // another worker has taken the task over
		}
		fmt.Print(piece.Text)
	}
	// Output: Because of Rayleigh scattering.
}

// Many questions go into the queue in a few round trips.
func ExampleClient_EnqueueAll() {
	rdb, hangUp := dial()
	defer hangUp()
	client := tasks.NewClient(results.NewStore(rdb))

	var items []tasks.Item
	for i, question := range []string{"Why is the sky blue?", "", "Why is the sea?"} {
		items = append(items, tasks.Item{
			Chat:    tasks.Ask("7461001", question),
			Options: tasks.Options{ID: fmt.Sprint("sky-", i)},
		})
	}
	for _, e := range client.EnqueueAll(context.Background(), items) {
		fmt.Println(e.ID, e.Err)
	}
	// Output:
	// sky-0 <nil>
	// sky-1 additional_messages[0].content: empty
	// sky-2 <nil>
}

// Turns of one conversation are answered one after the other; an id of the caller's
// own makes it safe to enqueue again.
func ExampleClient_Enqueue_conversation() {
	rdb, hangUp := dial()
	defer hangUp()
	ctx := context.Background()
	client := tasks.NewClient(results.NewStore(rdb))

	for i, question := range []string{"My name is Li.", "What is my name?"} {
		chat := tasks.Ask("7461001", question)
		chat.ConversationKey = "customer 42"
		id, err := client.Enqueue(ctx, chat, tasks.Options{ID: fmt.Sprint("customer-42-", i)})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(id)
	}
	// Output:
	// customer-42-0
	// customer-42-1
}
