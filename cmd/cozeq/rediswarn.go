package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/redischeck"
)

// warnTime bounds the look at a Redis' settings: it is for a line in the log, and
// nobody waits long for that.
const warnTime = 3 * time.Second

// warnOfRedis logs what is wrong with a shared Redis' version, eviction, memory and
// persistence, a warning each. What it cannot find out is doctor's to say.
func warnOfRedis(ctx context.Context, rdb redis.UniversalClient, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, warnTime)
	defer cancel()
	findings, err := redischeck.Server(ctx, rdb)
	if err != nil {
		logger.Debug("could not look at the settings of redis", "err", err)
		return
	}
	for _, f := range redischeck.OfConcern(findings) {
		logger.Warn("redis: "+f.Detail, "check", f.Name, "fix", f.Fix)
	}
}
