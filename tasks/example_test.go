package tasks_test

import (
	"context"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/localredis"
	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// dial stands for redis.NewClient, as examples bring their own Redis.
func dial() (rdb redis.UniversalClient, hangUp func()) {
	s, err := localredis.Start()
	if err != nil {
		log.Fatal(err)
	}
	return s.Client(), func() { s.Close() }
}

// work stands for "cozeq worker".
func work(rdb redis.UniversalClient, id string) {
	ctx := context.Background()
	attempt, err := record.New(results.NewStore(rdb)).Begin(ctx, results.Result{ID: id}, false)
	if err != nil {
		log.Fatal(err)
	}
	attempt.Result.Status, attempt.Result.Answer = results.Completed, "Because of Rayleigh scattering."
	_ = attempt.Finish(ctx, false) // who waits may hang up before we have the reply
}

// Ask one question and wait for its answer.
func ExampleClient_Enqueue() {
	rdb, hangUp := dial()
	defer hangUp()
	ctx := context.Background()
	store := results.NewStore(rdb)
	defer store.Close()
	client := tasks.NewClient(store)

	id, err := client.Enqueue(ctx, tasks.Ask("7461001", "Why is the sky blue?"), tasks.Options{})
	if err != nil {
		log.Fatal(err)
	}

	go work(rdb, id) // some other process

	r, err := store.Wait(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Status)
	fmt.Println(r.Answer)
	// Output:
	// completed
	// Because of Rayleigh scattering.
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
