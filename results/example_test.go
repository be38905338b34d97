package results_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/localredis"
	"github.com/cozeq/cozeq/results"
)

// dial stands for redis.NewClient, as examples bring their own Redis.
func dial() (rdb redis.UniversalClient, hangUp func()) {
	s, err := localredis.Start()
	if err != nil {
		log.Fatal(err)
	}
	return s.Client(), func() { s.Close() }
}

// A worker's side: take a task up, and end it.
func ExampleStore_Begin() {
	rdb, hangUp := dial()
	defer hangUp()
	ctx := context.Background()
	store := results.NewStore(rdb)

	attempt, err := store.Begin(ctx, results.Result{ID: "greeting"}, false)
	if err != nil {
		log.Fatal(err)
	}
	if attempt.Ended {
		return // somebody else was faster
	}
	attempt.Result.Status = results.Completed
	attempt.Result.Answer = "Hello!"
	switch err := attempt.Finish(ctx, false); {
	case errors.Is(err, results.ErrFenced):
		return // a newer attempt has begun: its answer counts
	case err != nil:
		log.Fatal(err)
	}

	r, err := store.Get(ctx, "greeting")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Status, r.Answer)
	// Output: completed Hello!
}

// A producer's side: wait for many tasks over one subscription.
func ExampleStore_WaitAll() {
	rdb, hangUp := dial()
	defer hangUp()
	ctx := context.Background()
	store := results.NewStore(rdb)
	defer store.Close()

	for _, id := range []string{"one", "two"} {
		if _, err := store.Create(ctx, results.Entry{Result: results.Result{ID: id}}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := store.Cancel(ctx, "two"); err != nil {
		log.Fatal(err)
	}

	for r, err := range store.WaitAll(ctx, slices.Values([]string{"one", "two"})) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.ID, r.Status)
		break // "one" waits for a worker
	}
	// Output: two canceled
}
