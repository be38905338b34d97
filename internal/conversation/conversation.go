// Package conversation remembers which of Coze's conversations a caller's conversation_key stands for.
//
// A name belongs to one bot and one Redis. It is kept under cozeq:conversation:{BOT:KEY} until it has not been used for
// 180 days. The package creates no conversations and knows no messages.
package conversation

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/internal/rediskey"
	"github.com/cozeq/cozeq/results"
)

// ttl is how long a name is remembered after its last use. Coze keeps messages for 180 days.
const ttl = 180 * 24 * time.Hour

const ttlSeconds = int64(ttl / time.Second)

var (
	//go:embed name.lua
	nameSource string
	//go:embed move.lua
	moveSource string
	//go:embed drop.lua
	dropSource string

	nameScript = redis.NewScript(nameSource)
	moveScript = redis.NewScript(moveSource)
	dropScript = redis.NewScript(dropSource)
)

// Names are the names that one Redis knows.
type Names struct {
	rdb redis.UniversalClient
}

func New(rdb redis.UniversalClient) *Names { return &Names{rdb: rdb} }

// Get returns the id of the key's conversation, "" if it has none yet.
func (n *Names) Get(ctx context.Context, botID, key string) (string, error) {
	id, err := n.rdb.GetEx(ctx, rediskey.Conversation(botID, key), ttl).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", failed("look up", botID, key, err)
	}
	return id, nil
}

// Name gives the key a conversation and returns the one that holds. Of two calls at the same time the first wins. The
// conversation of the other is empty and has cost nothing.
func (n *Names) Name(ctx context.Context, botID, key, id string) (string, error) {
	held, err := nameScript.Run(ctx, n.rdb, []string{rediskey.Conversation(botID, key)}, id, ttlSeconds).Text()
	if err != nil {
		return "", failed("name", botID, key, err)
	}
	return held, nil
}

// Move lets the key stand for another conversation, in which Coze has continued.
func (n *Names) Move(ctx context.Context, botID, key, from, to string) error {
	if err := moveScript.Run(ctx, n.rdb, []string{rediskey.Conversation(botID, key)}, from, to, ttlSeconds).Err(); err != nil {
		return failed("move", botID, key, err)
	}
	return nil
}

// Drop forgets the key's conversation, which is gone or must not be used again. A key that stands for another one by now
// is left alone.
func (n *Names) Drop(ctx context.Context, botID, key, id string) error {
	if err := dropScript.Run(ctx, n.rdb, []string{rediskey.Conversation(botID, key)}, id).Err(); err != nil {
		return failed("forget", botID, key, err)
	}
	return nil
}

func failed(what, botID, key string, err error) error {
	return fmt.Errorf("%s conversation %q: %w", what, key, results.KeyFault(rediskey.Conversation(botID, key), err))
}
