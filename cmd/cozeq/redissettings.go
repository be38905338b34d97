package main

import (
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// shared reports whether the settings name a Redis.
func (c config) shared() bool { return c.text(settingRedis, "") != "" }

// redis makes a client of the Redis that the settings name; nothing is dialled.
func (c config) redis(concurrency int, logger *slog.Logger) (*remoteRedis, error) {
	value, source := c.lookup(settingRedis, "")
	if value == "" {
		return nil, &missingError{what: "redis", how: "give --redis or set REDIS_URL, as redis://localhost:6379/0"}
	}
	redis.SetLogger(redisLog{logger})
	remote, err := parseRedis(value, poolSize(concurrency))
	if err != nil {
		return nil, c.bad(source, "%w", err)
	}
	return remote, nil
}

// poolSize is the number of connections for so many chats in flight.
func poolSize(concurrency int) int { return max(16, 10+concurrency/10) }
