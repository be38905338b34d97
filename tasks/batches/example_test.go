package batches_test

import (
	"context"
	"fmt"
	"log"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
	"github.com/cozeq/cozeq/tasks/batches"
)

// Submit questions as one batch, and see how far it is.
func Example() {
	server, err := embeddedredis.Start() // stands for a Redis, and its client for redis.NewClient
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx := context.Background()
	store := results.NewStore(server.Client())
	defer store.Close()
	client := batches.New(tasks.NewClient(store))

	questions := []string{"Why is the sky blue?", "Why is the sea?"}
	if _, _, err := client.Create(ctx, batches.Spec{ID: "colours", Name: "colours.txt", Rows: len(questions)}); err != nil {
		log.Fatal(err)
	}
	var rows []batches.Row
	for i, question := range questions {
		rows = append(rows, batches.Row{N: i + 1, CustomID: fmt.Sprint(i + 1), Chat: tasks.Ask("7461001", question)})
	}
	if err := client.Add(ctx, "colours", rows); err != nil { // may be repeated: nothing is asked twice
		log.Fatal(err)
	}

	b, err := client.Get(ctx, "colours")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(b.Name, b.Rows, "rows", b.Counts.Queued, "queued")
	// Output: colours.txt 2 rows 2 queued
}
