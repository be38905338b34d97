package results

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// reopenScript makes a failed record one of a queued task again. It is asked in a
// conversation of the payload's, or in a new one: the question stands in the old one.
//
// KEYS: hash. ARGV: TTL in seconds.
var reopenScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'status') ~= 'failed' then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'completed_at', 'attempts', 'conversation_id', 'chat_id', 'ended_chat', 'ended_conversation', 'removed_chat',
	'answer', 'content_type', 'parts', 'reasoning', 'follow_ups',
	'token_count', 'output_count', 'input_count', 'spent', 'error_code', 'error_class', 'error_msg', 'error_hint', 'logid')
redis.call('HSET', KEYS[1], 'status', 'queued')
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1`)

// Reopen lets a task that failed be asked again: the one thing that rewrites a
// terminal record, and only because a person wants it. A record that did not fail is
// left as it is.
func (s *Store) Reopen(ctx context.Context, id string) error {
	if err := reopenScript.Run(ctx, s.rdb, []string{Key(id)}, seconds(openTTL)).Err(); err != nil {
		return fmt.Errorf("reopen %s: %w", id, err)
	}
	return nil
}
