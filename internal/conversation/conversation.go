// Package conversation keeps callers' own names for conversations: which conversation of
// Coze's a conversation_key stands for, for one bot and Redis, under
// cozeq:conversation:{BOT:KEY}.
package conversation

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cozeq/cozeq/results"
)

// conversationTTL is how long a caller's name for a conversation is remembered
// after its last use: Coze keeps messages for 180 days.
const conversationTTL = 180 * 24 * time.Hour

// Names remember conversations by their keys.
type Names struct {
	rdb redis.UniversalClient
}

// New returns the names kept in rdb.
func New(rdb redis.UniversalClient) *Names {
	return &Names{rdb: rdb}
}

func conversationName(botID, key string) string {
	return "cozeq:conversation:{" + botID + ":" + key + "}"
}

// Get returns the conversation's id, "" if the key has none yet.
func (c *Names) Get(ctx context.Context, botID, key string) (string, error) {
	id, err := c.rdb.GetEx(ctx, conversationName(botID, key), conversationTTL).Result()
	if err != nil && err != redis.Nil {
		return "", fmt.Errorf("look up conversation %q: %w", key, results.KeyFault(conversationName(botID, key), err))
	}
	return id, nil
}

// nameScript sets a name unless it is set, and answers with the id that holds.
//
// KEYS: name. ARGV: id, TTL in seconds.
var nameScript = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2], 'NX') then return ARGV[1] end
return redis.call('GET', KEYS[1])`)

// Name gives a key its conversation and returns the one that holds: of two that
// create one at the same time the first wins, and the other's, empty and unpaid,
// is forgotten.
func (c *Names) Name(ctx context.Context, botID, key, id string) (string, error) {
	held, err := nameScript.Run(ctx, c.rdb, []string{conversationName(botID, key)},
		id, int64(conversationTTL/time.Second)).Text()
	if err != nil {
		return "", fmt.Errorf("name conversation %q: %w", key, results.KeyFault(conversationName(botID, key), err))
	}
	return held, nil
}

// moveScript changes a name that still stands for the first id.
//
// KEYS: name. ARGV: id, new id, TTL in seconds.
var moveScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`)

// Move lets the key stand for another conversation, in which Coze went on.
func (c *Names) Move(ctx context.Context, botID, key, from, to string) error {
	err := moveScript.Run(ctx, c.rdb, []string{conversationName(botID, key)}, from, to, int64(conversationTTL/time.Second)).Err()
	if err != nil {
		return fmt.Errorf("move conversation %q: %w", key, results.KeyFault(conversationName(botID, key), err))
	}
	return nil
}

// dropScript deletes a name that still stands for this id.
//
// KEYS: name. ARGV: id.
var dropScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// Drop forgets that the key stands for this conversation: it is gone, or must
// not be used again.
func (c *Names) Drop(ctx context.Context, botID, key, id string) error {
	if err := dropScript.Run(ctx, c.rdb, []string{conversationName(botID, key)}, id).Err(); err != nil {
		return fmt.Errorf("forget conversation %q: %w", key, results.KeyFault(conversationName(botID, key), err))
	}
	return nil
}
