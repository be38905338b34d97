package pause

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/redis/go-redis/v9"
)

// unseenAfter is how long no worker has served a credential when its pauses end.
const unseenAfter = 30 * time.Second

// oldest is the score of a credential that was served just recently enough.
func oldest() string { return strconv.FormatInt(time.Now().Add(-unseenAfter).Unix(), 10) }

// Served is a worker's credential. Two workers may use the same name for different credentials.
type Served struct {
	Name string // as tasks name it; empty: the worker's default
	ID   string // hash, see coze.Client.Identity
}

// NoteServed notes that a live worker serves these queues with these credentials. Call it every few seconds.
func NoteServed(ctx context.Context, rdb redis.UniversalClient, queues []string, credentials []Served) error {
	if len(credentials) == 0 {
		return nil
	}
	now := float64(time.Now().Unix())
	seen, served := make([]redis.Z, len(credentials)), make([]redis.Z, len(credentials))
	for i, c := range credentials {
		seen[i] = redis.Z{Score: now, Member: c.ID}
		served[i] = redis.Z{Score: now, Member: c.ID + "/" + c.Name}
	}
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, rediskey.Credentials, seen...)
		for _, queue := range queues {
			p.ZAdd(ctx, rediskey.QueueCredentials(queue), served...)
			p.ZRemRangeByScore(ctx, rediskey.QueueCredentials(queue), "-inf", oldest())
			p.Expire(ctx, rediskey.QueueCredentials(queue), unseenAfter)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the credentials served: %w", err)
	}
	return nil
}

// Replaced notes that a credential is not served any more. Its pauses end at once.
func Replaced(ctx context.Context, rdb redis.UniversalClient, credential string) error {
	if err := rdb.ZRem(ctx, rediskey.Credentials, credential).Err(); err != nil {
		return fmt.Errorf("note the credentials served: %w", err)
	}
	return nil
}

// Credential is one that a worker serves, or served.
type Credential struct {
	ID     string // hash, see coze.Client.Identity
	Served bool   // by a live worker
}

// Serving returns all credentials that were ever served, the latest last.
func Serving(ctx context.Context, rdb redis.UniversalClient) ([]Credential, error) {
	seen, err := rdb.ZRangeWithScores(ctx, rediskey.Credentials, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	all := make([]Credential, len(seen))
	for i, z := range seen {
		all[i].ID, _ = z.Member.(string)
		all[i].Served = isServed(z.Score)
	}
	return all, nil
}

func isServed(score float64) bool { return time.Since(time.Unix(int64(score), 0)) < unseenAfter }

func served(ctx context.Context, rdb redis.UniversalClient, id string) (bool, error) {
	at, err := rdb.ZScore(ctx, rediskey.Credentials, id).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read credentials: %w", err)
	}
	return isServed(at), nil
}

func servingQueue(ctx context.Context, rdb redis.UniversalClient, queue string) ([]Served, error) {
	members, err := rdb.ZRangeByScore(ctx, rediskey.QueueCredentials(queue), &redis.ZRangeBy{Min: oldest(), Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("read who serves queue %s: %w", queue, err)
	}
	all := make([]Served, len(members))
	for i, member := range members {
		all[i].ID, all[i].Name, _ = strings.Cut(member, "/")
	}
	return all, nil
}
