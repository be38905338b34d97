package record_test

import (
	"maps"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/results"
)

// Only a failed task is reopened, and it forgets how and where it failed.
func TestReopen(t *testing.T) {
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		s := newStore(t, rdb)
		tasktest.Create(t, s.reader, "failed", "open")
		tasktest.Answer(t, s.reader, "answered", "yes")
		a := tasktest.Begin(t, s.reader, "failed")
		a.Result.ConversationID, a.Result.ChatID, a.Result.Answer = "conversation", "chat", "half an ans"
		a.Result.Status, a.Result.Error = results.Failed, &results.Failure{Code: 4000, Class: "permanent", Message: "no"}
		if err := a.Finish(t.Context(), false); err != nil {
			t.Fatal(err)
		}

		open, answered := tasktest.Hash(t, rdb, "open"), tasktest.Hash(t, rdb, "answered")
		for _, id := range []string{"failed", "open", "answered", "unknown"} {
			if err := s.Reopen(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		r := tasktest.Get(t, s.reader, "failed")
		if r.Status != results.Queued || r.Error != nil || r.Answer+r.ChatID+r.ConversationID != "" || !r.CompletedAt.IsZero() {
			t.Errorf("reopened: %+v", r)
		}
		if got := tasktest.Hash(t, rdb, "open"); !maps.Equal(got, open) {
			t.Errorf("an open task: %v", got)
		}
		if got := tasktest.Hash(t, rdb, "answered"); !maps.Equal(got, answered) {
			t.Errorf("an answered task: %v", got)
		}
		if got := tasktest.Hash(t, rdb, "unknown"); len(got) != 0 {
			t.Errorf("a task without a record: %v", got)
		}
	})
}
