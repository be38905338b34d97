package pause

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/asynqx"
	"github.com/cozeq/cozeq/internal/rediskey"
)

// QueuePause is a pause of one queue, as asynqmon shows it.
type QueuePause struct {
	Since       time.Time
	Credentials []string // whose pauses it comes from, sorted; empty: an operator's, which stops all workers
	Others      []string // other credentials, whose workers continue to serve the queue
}

// PausedQueue returns the pause of a queue; ok is false if there is none.
func PausedQueue(ctx context.Context, rdb redis.UniversalClient, queue string) (p QueuePause, ok bool, err error) {
	note, err := asynqx.QueuePauses{Redis: rdb}.Note(ctx, queue)
	if err != nil || note.Since == "" {
		return p, false, err
	}
	seconds, _ := strconv.ParseInt(note.Since, 10, 64)
	p.Since = time.Unix(seconds, 0).UTC()
	if !note.Stands || len(note.Credentials) == 0 {
		return p, true, nil
	}
	p.Credentials = note.Credentials
	serving, err := servingQueue(ctx, rdb, queue)
	if err != nil {
		return p, false, err
	}
	for _, c := range serving {
		if !slices.Contains(p.Credentials, c.ID) && !slices.Contains(p.Others, c.ID) {
			p.Others = append(p.Others, c.ID)
		}
	}
	return p, true, nil
}

// holdsChunk is how many ids are looked up in one go.
const holdsChunk = 1000

// Holds reports, for each of a queue's tasks, whether it is parked until the end of p.
func (p Pause) Holds(ctx context.Context, rdb redis.UniversalClient, queue string, ids []string) ([]bool, error) {
	key := rediskey.Parked(rediskey.Pause(p.Credential, p.BotID))
	held := make([]bool, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), holdsChunk)
		members := make([]any, n)
		for i, id := range ids[:n] {
			members[i] = queue + "/" + id
		}
		part, err := rdb.SMIsMember(ctx, key, members...).Result()
		if err != nil {
			return nil, fmt.Errorf("read parked tasks: %w", err)
		}
		held, ids = append(held, part...), ids[n:]
	}
	return held, nil
}
