package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/coze"
	"github.com/cozeq/cozeq/tasks"
)

// Credential is an identity at Coze, beside the default one, that tasks name.
type Credential struct {
	Name string
	Coze *coze.Client
}

// client returns the client that asks for a task.
func (c *Config) client(name string) (*coze.Client, error) {
	if name == "" {
		return c.Coze, nil
	}
	for _, c := range c.Credentials {
		if c.Name == name {
			return c.Coze, nil
		}
	}
	return nil, &tasks.InvalidError{Field: "credential", Reason: fmt.Sprintf("the worker that took the task has none named %q", name)}
}

// seenKey tells when each credential was last served by a worker, in Unix seconds.
// The pause of one that nobody serves any more, as its token was replaced, would
// never be probed.
const seenKey = "cozeq:credentials"

// servedKey tells the same for one queue: while a credential is paused, workers of
// another one may go on.
func servedKey(queue string) string { return "cozeq:queue:{" + queue + "}:credentials" }

// unseenAfter is how long a credential may not be heard of before its pauses end.
const unseenAfter = 30 * time.Second

// announce notes which credentials this process serves, and ends the pauses of one
// that it has just replaced by another.
func (w *Worker) announce(ctx context.Context) error {
	now := make(map[string]bool)
	members := make([]redis.Z, 0, 1+len(w.cfg.Credentials))
	for _, client := range w.clients() {
		id, err := client.Identity(ctx)
		if err != nil {
			continue // no token yet: whoever asks with it is told
		}
		now[id] = true
		members = append(members, redis.Z{Score: float64(time.Now().Unix()), Member: id})
	}
	_, err := w.cfg.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		if len(members) == 0 {
			return nil
		}
		p.ZAdd(ctx, seenKey, members...)
		for _, queue := range w.gate.Queues {
			p.ZAdd(ctx, servedKey(queue), members...)
			p.ZRemRangeByScore(ctx, servedKey(queue), "-inf", oldest())
			p.Expire(ctx, servedKey(queue), unseenAfter)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("announce credentials: %w", err)
	}
	w.gate.Serves(slices.Sorted(maps.Keys(now)))
	for id := range w.identities {
		if !now[id] {
			w.log.Info("a credential was replaced", "was", id)
			if err := w.cfg.Redis.ZRem(ctx, seenKey, id).Err(); err != nil {
				return fmt.Errorf("announce credentials: %w", err)
			}
		}
	}
	w.identities = now
	return nil
}

// oldest is the score of a credential that was served just long enough ago to count.
func oldest() string { return strconv.FormatInt(time.Now().Add(-unseenAfter).Unix(), 10) }

func (w *Worker) clients() []*coze.Client {
	all := []*coze.Client{w.coze}
	for _, c := range w.cfg.Credentials {
		all = append(all, c.Coze)
	}
	return all
}

// served reports whether a live worker serves the credential.
func (w *Worker) served(ctx context.Context, id string) (bool, error) {
	at, err := w.cfg.Redis.ZScore(ctx, seenKey, id).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read credentials: %w", err)
	}
	return time.Since(time.Unix(int64(at), 0)) < unseenAfter, nil
}
