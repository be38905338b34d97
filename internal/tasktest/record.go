package tasktest

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/record"
	"github.com/cozeq/cozeq/results"
)

func Create(t testing.TB, s *results.Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if _, err := record.New(s).Create(t.Context(), record.Entry{Result: results.Result{ID: id, Queue: "default"}}); err != nil {
			t.Fatal(err)
		}
	}
}

func Begin(t testing.TB, s *results.Store, id string) *record.Attempt {
	t.Helper()
	a, err := record.New(s).Begin(t.Context(), results.Result{ID: id, Queue: "default"}, false)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func Finish(t testing.TB, a *record.Attempt, answer string) {
	t.Helper()
	a.Result.Status, a.Result.Answer, a.Result.Attempts = results.Completed, answer, 1
	if err := a.Finish(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

func Answer(t testing.TB, s *results.Store, id, text string) {
	t.Helper()
	Finish(t, Begin(t, s, id), text)
}

func Get(t testing.TB, s *results.Store, id string) *results.Result {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func Hash(t testing.TB, rdb redis.UniversalClient, id string) map[string]string {
	t.Helper()
	h, err := rdb.HGetAll(t.Context(), results.Key(id)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// NewStore returns a store that is closed with the test.
func NewStore(t testing.TB, rdb redis.UniversalClient) *results.Store {
	t.Helper()
	s := results.NewStore(rdb)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}
