package redistest

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/embeddedredis"
)

// kindEnv names the one kind of Redis that Each runs on, in the place of the two that it usually does: all tests of the
// house on another one.
const kindEnv = "COZEQ_TEST_REDIS"

var kinds = map[string]func(*testing.T) redis.UniversalClient{
	"embedded": func(t *testing.T) redis.UniversalClient { return embedded(t) },
	"redis":    func(t *testing.T) redis.UniversalClient { return start(t).Client() },
	"unix":     func(t *testing.T) redis.UniversalClient { return start(t, Unix()).Client() },
	"acl":      func(t *testing.T) redis.UniversalClient { return asUser(t) },
	"tls":      func(t *testing.T) redis.UniversalClient { return start(t, TLS()).Client() },
	"valkey":   func(t *testing.T) redis.UniversalClient { return start(t, Valkey()).Client() },
	"sentinel": func(t *testing.T) redis.UniversalClient { return StartSentinel(t).Client() },
	"cluster":  func(t *testing.T) redis.UniversalClient { return StartCluster(t).Client() },
}

// Each runs f as two subtests, "embedded" on the program's own embedded Redis and "redis" on a redis-server process.
// Each starts empty. The client is closed when its subtest ends. COZEQ_TEST_REDIS, one of embedded, redis, unix, acl,
// tls, valkey, sentinel and cluster, makes that one subtest of its name; make test-cluster uses it. With acl the client
// has the rights of the user in deploy/redis/users.acl and no more. But for embedded and redis, the usual ones, tests that
// choose their Redis themselves, with Embedded or Start, are skipped then: they would only do again what they do without it.
func Each(t *testing.T, f func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	names := []string{"embedded", "redis"}
	if kind := os.Getenv(kindEnv); kind != "" {
		if kinds[kind] == nil {
			t.Fatalf("%s=%s: want embedded, redis, unix, acl, tls, valkey, sentinel or cluster", kindEnv, kind)
		}
		names = []string{kind}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { f(t, kinds[name](t)) })
	}
}

// Embedded starts an empty embedded Redis for the time of the test and returns its client. It works inside a
// testing/synctest bubble: no socket is involved, and TTLs follow the bubble's clock.
func Embedded(t testing.TB) redis.UniversalClient {
	t.Helper()
	skipElsewhere(t)
	return embedded(t)
}

// skipElsewhere skips a test that is the same on every kind of Redis.
func skipElsewhere(t testing.TB) {
	t.Helper()
	if kind := os.Getenv(kindEnv); kind != "" && kind != "embedded" && kind != "redis" {
		t.Skipf("chooses its Redis itself: not again with %s=%s", kindEnv, kind)
	}
}

func embedded(t testing.TB) redis.UniversalClient {
	t.Helper()
	// Who waits for a connection of the pool does so with a timer that go-redis shares between bubbles, which panics.
	s, err := embeddedredis.Start(embeddedredis.PoolSize(1024))
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

// Keys returns the names of all keys that match the pattern, of a cluster those of all its masters.
func Keys(t testing.TB, rdb redis.UniversalClient, pattern string) []string {
	t.Helper()
	var all []string
	var mu sync.Mutex
	everywhere(t, rdb, func(ctx context.Context, rdb *redis.Client) error {
		keys, err := rdb.Keys(ctx, pattern).Result()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	})
	slices.Sort(all)
	return all
}

// Flush deletes all keys, of a cluster those of all its masters.
func Flush(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	everywhere(t, rdb, func(ctx context.Context, rdb *redis.Client) error { return rdb.FlushAll(ctx).Err() })
}

// ForgetScripts makes Redis forget all scripts, as a restart does, of a cluster all its masters.
func ForgetScripts(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	everywhere(t, rdb, func(ctx context.Context, rdb *redis.Client) error { return rdb.ScriptFlush(ctx).Err() })
}

// everywhere calls f for each server that holds keys; of a cluster for all of them at the same time.
func everywhere(t testing.TB, rdb redis.UniversalClient, f func(context.Context, *redis.Client) error) {
	t.Helper()
	var err error
	switch rdb := rdb.(type) {
	case *redis.ClusterClient:
		err = rdb.ForEachMaster(t.Context(), f)
	case *redis.Client:
		if admin, ok := admins.Load(rdb); ok {
			rdb = admin.(*redis.Client)
		}
		err = f(t.Context(), rdb)
	default:
		t.Fatalf("a client of type %T", rdb)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Hooked returns a client of the same Redis that has a hook of its own. It is closed with the test.
func Hooked(t testing.TB, rdb redis.UniversalClient, hook redis.Hook) redis.UniversalClient {
	t.Helper()
	var c redis.UniversalClient
	switch rdb := rdb.(type) {
	case *redis.ClusterClient:
		options := *rdb.Options()
		c = redis.NewClusterClient(&options)
	case *redis.Client:
		options := *rdb.Options()
		options.PushNotificationProcessor = nil // each client makes its own
		c = redis.NewClient(&options)
	}
	c.AddHook(hook)
	t.Cleanup(func() { c.Close() })
	return c
}
