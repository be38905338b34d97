package results

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// otherChat is a function of scripts that keeps a chat among those that a record names
// beside its own.
const otherChat = `
local function otherChat(chat)
	local id = '"' .. string.gsub(chat, '[^%w_.:-]', '') .. '"' -- what JSON writes as it stands: Finish compares
	local all = redis.call('HGET', KEYS[1], 'other_chat_ids')
	if not all then
		all = '[' .. id .. ']'
	elseif not string.find(all, id, 1, true) then
		all = string.sub(all, 1, -2) .. ',' .. id .. ']'
	end
	redis.call('HSET', KEYS[1], 'other_chat_ids', all, 'possible_duplicate', 'true')
end
`

// GivenChat is a chat that an attempt has made and may not note, or has noted and Redis
// may have lost.
type GivenChat struct {
	TaskID, ConversationID, ChatID string

	// AskedAt is the attempt's note that it was about to ask, as it was written.
	AskedAt time.Time

	// Noted tells that the record named the chat once. Then whoever owns the record now
	// knew it, unless Redis has lost it since.
	Noted bool

	// Lost tells that Redis has forgotten writes, or may have.
	Lost bool

	// Runs tells that the attempt has not ended: a record that is gone is made again for
	// the chat.
	Runs bool
}

// giveScript brings a chat into the record of a task that its maker does not own any more,
// or need not. It answers 1 where the chat is wanted, 0 where it is one too many, and -1
// where there is no record.
//
// Worker A has asked, and is fenced before it can note its chat a. Worker B is the owner.
// B may be anywhere; each script is one step, and so the two meet in one of these ways:
//
//   - B has found a in the conversation: the record names it. It is wanted.
//   - B has not asked: there is no chat, and no note of asking but A's own. The record gets
//     a as its chat. B does not know that, and goes on to Asking, which is refused with
//     ErrChatGiven and has B look a up; or it puts the task aside, which leaves a where it
//     is for whoever comes next; or it ends the task without asking, and Finish says that
//     there was a.
//   - B has noted that it is about to ask, and has asked or will within two seconds. a is
//     one too many and is kept among the others, and the record says possible_duplicate.
//     A cancels a. B reads none of that before it ends the task: Finish finds that the
//     record names other chats than its result and begins again, so that the message and
//     the hash say the same.
//   - B has ended the task. The record is final but for this: it gets the mark and a. The
//     message is out without it, which cannot be helped.
//
// A chat that was noted is wanted, unless Redis may have lost the note: the record was made
// again, or says possible_duplicate, or the caller says so. A's chat may be two asks ago.
//
// KEYS: hash. ARGV: chat, conversation, A's note of asking, "1" if the chat was noted, "1"
// if Redis may have lost that, "1" to make a record that is gone, TTL in seconds.
var giveScript = redis.NewScript(otherChat + `
local now = redis.call('HMGET', KEYS[1], 'status', 'chat_id', 'asked_at', 'ended_chat', 'made', 'possible_duplicate', 'other_chat_ids')
if now[2] == ARGV[1] or now[4] == ARGV[1] then return 1 end
if not now[1] and not now[2] then
	if ARGV[6] ~= '1' then return -1 end
	redis.call('HSET', KEYS[1], 'chat_id', ARGV[1], 'conversation_id', ARGV[2], 'made', 1)
	redis.call('EXPIRE', KEYS[1], ARGV[7])
	return 1
end
if now[7] and string.find(now[7], '"' .. ARGV[1] .. '"', 1, true) then return 0 end
if ARGV[4] == '1' and ARGV[5] ~= '1' and not now[5] and not now[6] then return 1 end
local ended = now[1] == 'completed' or now[1] == 'failed' or now[1] == 'canceled' or now[1] == 'expired'
if not ended and not now[2] and (not now[3] or now[3] == ARGV[3]) then
	redis.call('HSET', KEYS[1], 'chat_id', ARGV[1], 'conversation_id', ARGV[2])
	redis.call('HDEL', KEYS[1], 'asked_at')
	return 1
end
otherChat(ARGV[1])
return 0`)

// GiveOver brings a chat into its task's record, for the owner of now. wanted is false for
// one too many: the record says so, if it is there, and the caller should cancel the chat
// at Coze.
func (s *Store) GiveOver(ctx context.Context, c GivenChat) (wanted bool, err error) {
	n, err := giveScript.Run(ctx, s.rdb, []string{Key(c.TaskID)}, c.ChatID, c.ConversationID, At(c.AskedAt).String(),
		c.Noted, c.Lost, c.Runs, seconds(openTTL)).Int()
	if err != nil {
		return false, fmt.Errorf("give the chat of %s over: %w", c.TaskID, err)
	}
	return n == 1 || n == gone && c.Noted, nil
}
