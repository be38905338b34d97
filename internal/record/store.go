package record

import (
	"context"
	"errors"

	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// openTTL bounds the life of a record whose task never ends, as its producer died between its two steps, or the queue was
// deleted. Each Begin renews it. A task that outlives it loses its count of attempts, not its question.
const openTTL = 30 * 24 * time.Hour

// ErrFenced is returned to an [Attempt] that may not write any more: a newer one has begun, or the task has ended without it.
var ErrFenced = errors.New("another attempt owns this task")

// ErrChatGiven is returned by [Attempt.Asking] where the question has a chat already: see
// [Store.GiveOver].
var ErrChatGiven = errors.New("an earlier attempt has asked this question")

// Store writes records. It is safe for concurrent use.
type Store struct {
	results *results.Store
	rdb     redis.UniversalClient
}

func New(store *results.Store) *Store { return &Store{store, store.Redis()} }

// run runs a script, together with the commands of along in one round trip. A
// pipeline cannot fall back from a script's hash to its source by itself; only the
// script is then sent again.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args []any, along ...func(redis.Cmdable)) *redis.Cmd {
	if len(along) == 0 {
		return script.Run(ctx, s.rdb, keys, args...)
	}
	var cmd *redis.Cmd
	send := func(c redis.Cmdable) {
		cmd = script.EvalSha(ctx, c, keys, args...)
		for _, add := range along {
			add(c)
		}
	}
	if shared, ok := s.rdb.(*redis.AutoPipeliner); ok && !shared.IsBlocking() {
		send(shared) // none waits for its reply here, so one pipeline takes them all
	} else {
		_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command keeps its own error
			send(p)
			return nil
		})
	}
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		return script.Run(ctx, s.rdb, keys, args...)
	}
	return cmd
}

// pairs is HGETALL's reply inside a script, a list of names and values.
func pairs(reply any) map[string]string {
	flat, _ := reply.([]any)
	hash := make(map[string]string, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		name, _ := flat[i].(string)
		hash[name], _ = flat[i+1].(string)
	}
	return hash
}

func seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

func newOwner() string { return strconv.FormatUint(rand.Uint64(), 36) }
