package worker_test

import (
	"context"
	"fmt"
	"log"

	"github.com/cozeq/cozeq/coze/cozetest"
	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/worker"
)

// A worker inside a program of your own, from its start to its end. Run returns when its
// context has ended and the chats in flight have, too; the process would take that
// context from signal.NotifyContext.
func Example() {
	server, err := embeddedredis.Start() // stands for a Redis, and so for redis.NewClient
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	rdb := server.Client()
	fake, err := cozetest.Start("", cozetest.Config{ // stands for Coze
		Answer: func(string) string { return "Because of Rayleigh scattering." },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()

	w, err := worker.New(worker.Config{
		Redis:       rdb,
		Coze:        fake.Client(), // &coze.Client{Auth: coze.StaticToken(os.Getenv("COZE_API_TOKEN"))}
		Concurrency: 16,
		Queues:      map[string]int{tasks.QueueDefault: 1},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()

	store := results.NewStore(rdb)
	defer store.Close()
	id, err := tasks.NewClient(store).Enqueue(ctx, tasks.Ask("7461001", "Why is the sky blue?"), tasks.Options{})
	if err != nil {
		log.Fatal(err)
	}
	r, err := store.Wait(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Status, r.Answer)

	stop()
	fmt.Println(<-ended)
	// Output:
	// completed Because of Rayleigh scattering.
	// <nil>
}
