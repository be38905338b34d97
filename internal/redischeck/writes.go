package redischeck

import (
	"context"
	"crypto/rand"
	_ "embed"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// keyLife is how long a key of a check lives.
const keyLife = 5 * time.Second

// keysOf finds a key for each master of a cluster. A master of very few slots may be left without one.
func keysOf(ctx context.Context, cluster *redis.ClusterClient) (map[string]string, error) {
	const tries = 1000
	keys := map[string]string{}
	for range tries {
		key := rediskey.Check(rand.Text())
		master, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return nil, err
		}
		keys[master.Options().Addr] = key
	}
	return keys, nil
}

//go:embed write.lua
var writeSource string

// write runs a script that writes, as every write of the queue is a script.
func write(ctx context.Context, rdb redis.Cmdable, key string) error {
	return rdb.Eval(ctx, writeSource, []string{key}, keyLife.Milliseconds()).Err()
}

func (s state) writes() Finding {
	f := Finding{Name: "writes", Status: OK, Detail: "a script may write"}
	switch {
	case s.noKey:
		f.Status, f.Detail = Skip, "not tried: it has hardly a slot of the cluster"
	case s.wrote == nil:
	case Forbidden(s.wrote):
		f.Fix = "let this user have the rules of docs/redis.md: redis-cli ACL SETUSER"
	case redis.IsOOMError(s.wrote):
		f.Fix = "give Redis more memory: see memory"
	case redis.IsReadOnlyError(s.wrote):
		f.Fix = "let REDIS_URL name the master: see role"
	case redis.IsClusterDownError(s.wrote):
		f.Fix = "bring the cluster's masters back: redis-cli --cluster check"
	case redis.IsNoReplicasError(s.wrote):
		f.Fix = "bring its replicas back, or redis-cli CONFIG SET min-replicas-to-write 0"
	default:
		f.Fix = "look into the log of Redis"
	}
	if s.wrote != nil {
		f.Status, f.Detail = Fail, "a script cannot write: "+s.wrote.Error()
	}
	return f
}

// Forbidden reports whether the user may not do what was asked. For commands inside a script there is no error code, only
// words: one text in Redis 7.0, another in later versions and Valkey.
func Forbidden(err error) bool {
	return redis.IsPermissionError(err) || err != nil &&
		(strings.Contains(err.Error(), "The user executing the script can't") || strings.Contains(err.Error(), "ACL failure in script"))
}
