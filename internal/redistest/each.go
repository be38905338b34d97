package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/localredis"
)

// Each runs f as two subtests, "embedded" on the program's own embedded Redis and "redis" on a redis-server process.
// Each starts empty. The client is closed when its subtest ends.
func Each(t *testing.T, f func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { f(t, Embedded(t)) })
	t.Run("redis", func(t *testing.T) { f(t, Start(t).Client()) })
}

// Embedded starts an empty embedded Redis for the time of the test and returns its client. It works inside a
// testing/synctest bubble: no socket is involved, and TTLs follow the bubble's clock.
func Embedded(t testing.TB) redis.UniversalClient {
	t.Helper()
	s, err := localredis.Start()
	if err != nil {
		t.Fatalf("start the embedded redis: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the embedded redis: %v", err)
		}
	})
	return s.Client()
}
