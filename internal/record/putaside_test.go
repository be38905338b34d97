package record_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

// TestCancelAsItIsPutAside cancels a task between its verdict and its wait.
func TestCancelAsItIsPutAside(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := openStore(rdb)
		defer store.Close()
		if _, err := store.Create(t.Context(), record.Entry{Result: results.Result{ID: "x"}}); err != nil {
			t.Fatal(err)
		}
		a, err := store.Begin(t.Context(), results.Result{ID: "x"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Cancel(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := a.Wait(t.Context(), nil); err != nil || !a.CancelRequested {
			t.Errorf("cancel requested %v, %v", a.CancelRequested, err)
		}
	})
}
