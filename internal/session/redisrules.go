package session

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/redischeck"
)

// warnTime bounds the check of Redis' settings. Most of it is for the log, so a command does not wait long for it.
const warnTime = 3 * time.Second

// RedisRules say what a command demands of a shared Redis before it puts anything there.
type RedisRules struct{ allowEviction bool }

func (r *RedisRules) AddFlag(f *pflag.FlagSet) {
	f.BoolVar(&r.allowEviction, "allow-eviction", false,
		"accept a Redis that drops keys when it is full (a maxmemory-policy other than noeviction); questions and answers may get lost")
}

// Check refuses a Redis that may drop keys, and logs a warning for each other fault of its version, memory and persistence.
// Settings that a managed Redis hides are no error here; doctor shows them.
func (r RedisRules) Check(ctx context.Context, rdb redis.UniversalClient, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, warnTime)
	defer cancel()
	findings, err := redischeck.Server(ctx, rdb)
	if err != nil {
		logger.Debug("could not look at the settings of redis", "err", err)
		return nil
	}
	for _, f := range redischeck.OfConcern(findings) {
		if f.Name == redischeck.Eviction && !r.allowEviction {
			return &exitcode.HintedError{
				Err:  fmt.Errorf("redis: %s", f.Detail),
				Hint: f.Fix + "; or give --allow-eviction, if losing questions is all right",
			}
		}
		logger.Warn("redis: "+f.Detail, "check", f.Name, "fix", f.Fix)
	}
	return nil
}
