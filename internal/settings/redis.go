package settings

import (
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/exitcode"
	"github.com/cozeq/cozeq/internal/remoteredis"
)

func (c Config) Shared() bool { return c.Text(Redis, "") != "" }

// Redis makes a client of the Redis that the settings name. It does not connect yet.
func (c Config) Redis(concurrency int, logger *slog.Logger) (*remoteredis.Server, error) {
	value, source := c.Lookup(Redis, "")
	if value == "" {
		return nil, &exitcode.MissingError{What: "redis", How: "give --redis or set REDIS_URL, as redis://localhost:6379/0"}
	}
	redis.SetLogger(remoteredis.Log{Logger: logger})
	remote, err := remoteredis.Parse(value, PoolSize(concurrency))
	if err != nil {
		return nil, c.Errorf(source, "%w", err)
	}
	return remote, nil
}

// PoolSize is the number of connections for so many chats in flight.
func PoolSize(concurrency int) int { return max(16, 10+concurrency/10) }
