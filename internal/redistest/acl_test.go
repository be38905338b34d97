package redistest_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redischeck"
	"github.com/cozeq/cozeq/internal/redistest"
)

// TestUserMayNotDoMore holds the rules for production against what nobody who has the password of a queue should be
// able to do. That they suffice is tested by all tests of the house, with COZEQ_TEST_REDIS=acl.
func TestUserMayNotDoMore(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.ACL())
	options, err := redis.ParseURL(s.UserURL())
	if err != nil {
		t.Fatal(err)
	}
	user := redis.NewClient(options)
	defer user.Close()
	if err := s.Client().Set(t.Context(), "session:1", "somebody else's", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]any{
		{"FLUSHALL"}, {"FLUSHDB"}, {"SWAPDB", 0, 1}, {"SHUTDOWN"},
		{"CONFIG", "SET", "appendonly", "no"}, {"CONFIG", "GET", "*"}, {"ACL", "LIST"}, {"MODULE", "LIST"},
		{"REPLICAOF", "127.0.0.1", 1}, {"SAVE"}, {"CLIENT", "KILL", "TYPE", "normal"}, {"CLIENT", "LIST"}, {"MONITOR"},
		{"KEYS", "*"}, {"SCAN", 0}, {"RANDOMKEY"}, {"DBSIZE"}, {"RENAME", "cozeq:a", "cozeq:b"}, {"MIGRATE", "127.0.0.1", 1, "cozeq:a", 0, 1},
		{"GET", "session:1"}, {"SET", "session:1", "v"}, {"DEL", "session:1"}, {"EXPIRE", "session:1", 1}, {"TYPE", "session:1"},
		{"EVAL", "return redis.call('GET', KEYS[1])", 1, "session:1"},
		{"EVAL", "return redis.call('GET', 'session:1')", 0},
		{"EVAL", "return redis.call('FLUSHALL')", 0},
		{"PUBLISH", "news", "x"}, {"SUBSCRIBE", "news"}, {"PSUBSCRIBE", "*"},
		{"FUNCTION", "FLUSH"}, {"SCRIPT", "FLUSH"}, {"CLUSTER", "RESET"}, {"SORT", "cozeq:a", "BY", "session:*"},
	} {
		if err := user.Do(t.Context(), command...).Err(); !redischeck.Forbidden(err) {
			t.Errorf("%v: %v, want it refused", command, err)
		}
	}
	if len(s.Denied()) == 0 {
		t.Error("the server has noted nothing of it")
	}
	anonymous := *options
	anonymous.Username, anonymous.Password, anonymous.PushNotificationProcessor = "", "", nil
	nobody := redis.NewClient(&anonymous)
	defer nobody.Close()
	if err := nobody.Get(t.Context(), "cozeq:a").Err(); !redis.IsAuthError(err) {
		t.Errorf("without a password: %v", err)
	}
}
