package worker_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/results"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := newLine(t, rdb)
		l.work()
		r := l.ask("what is the capital of France?")
		if r.Status != results.Completed || r.Answer == "" || r.Attempts != 1 {
			t.Fatalf("got %+v", r)
		}
		t.Logf("%+v %+v", r, r.Usage)
		if n := l.fake.Accepted(); n != 1 {
			t.Errorf("%d chats, want 1", n)
		}
	})
}
