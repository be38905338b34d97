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

// warnTime bounds the look at a Redis' settings: most of it is for lines in the log, and
// a command should not wait long for those.
const warnTime = 3 * time.Second

// RedisRules say what a command demands of a shared Redis before it puts anything there.
type RedisRules struct{ allowEviction bool }

func (r *RedisRules) AddFlag(f *pflag.FlagSet) {
	f.BoolVar(&r.allowEviction, "allow-eviction", false,
		"accept a Redis that drops keys when it is full (a maxmemory-policy other than noeviction); questions and answers may get lost")
}

// Check refuses a Redis that may drop keys, and logs what else is wrong with its version,
// memory and persistence, a warning each. What it cannot find out, as of a managed Redis
// that does not tell its settings, is no error: doctor says so.
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
