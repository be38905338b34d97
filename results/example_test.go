package results_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/localredis"
	"github.com/cozeq/cozeq/internal/record"
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

// A producer's side: wait for many tasks over one subscription.
func ExampleStore_WaitAll() {
	rdb, hangUp := dial()
	defer hangUp()
	ctx := context.Background()
	store := results.NewStore(rdb)
	defer store.Close()

	for _, id := range []string{"one", "two"} {
		if _, err := record.New(store).Create(ctx, record.Entry{Result: results.Result{ID: id}}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := record.New(store).Cancel(ctx, "two"); err != nil {
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
