package results_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/cozeq/cozeq/internal/embeddedredis"
	"github.com/cozeq/cozeq/results"
	"github.com/cozeq/cozeq/tasks"
)

// Wait for many tasks over one subscription, in the order in which they end.
func ExampleStore_WaitAll() {
	server, err := embeddedredis.Start() // stands for a Redis, and its client for redis.NewClient
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx := context.Background()
	store := results.NewStore(server.Client())
	defer store.Close()

	client := tasks.NewClient(store)
	ids := []string{"one", "two"}
	for _, id := range ids {
		if _, err := client.Enqueue(ctx, tasks.Ask("7461001", "Why is the sky blue?"), tasks.Options{ID: id}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := client.Cancel(ctx, "two"); err != nil {
		log.Fatal(err)
	}

	for r, err := range store.WaitAll(ctx, slices.Values(ids)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.ID, r.Status)
		break // "one" waits for a worker
	}
	// Output: two canceled
}

// A task without an answer is an error: errors.Is finds its class, errors.As the rest.
func ExampleFailure() {
	r := results.Result{ID: "one", Status: results.Failed, Error: &results.Failure{
		Code: 4028, Class: "quota", Message: "the quota is used up", Hint: "top it up",
	}}

	err := r.Err()
	fmt.Println(err)
	fmt.Println(errors.Is(err, results.ErrQuota))
	if f, ok := errors.AsType[*results.Failure](err); ok {
		fmt.Println(f.Hint)
	}
	// Output:
	// 4028 (quota): the quota is used up
	// true
	// top it up
}
