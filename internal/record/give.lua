-- Brings a chat into the record of a task that the chat's maker may not own any more.
--
-- KEYS: 1 record
-- ARGV: 1 chat, 2 conversation, 3 the maker's asked note, 4 '1' if the record named the chat once, 5 '1' if Redis may
--       have lost that, 6 '1' to make a record that is gone, 7 TTL in seconds
-- Reply: 1 the chat is wanted, 0 it is one too many, -1 there is no record
--
-- Invariant: no chat that is billed is lost from its record.
--
-- Worker A has asked, and is fenced before it can note its chat a. Worker B owns the record now. Each script is one
-- step, so the two meet in one of these ways:
--
--  - B has found a in the conversation, and the record names it. It is wanted.
--  - B has not asked: the record has no chat, and no asked note but A's. The record gets a as its chat. B does not know
--    that. Its asked note is refused (update.lua), and it looks a up; or it puts the task aside, which leaves a in
--    place for the next attempt; or it ends the task without asking, and finish.lua adds a to the other chats.
--  - B has written its asked note, and has asked or will within two seconds. a is one too many. It goes to the other
--    chats, with possible_duplicate, and A cancels it. B reads nothing of that before it ends the task: finish.lua
--    finds that the record names other chats than the result, and B tries again with both.
--  - B has ended the task. The record is final except for this: it gets the mark and a. The message is out without it,
--    which cannot be helped.
--
-- A chat that was noted once is wanted, unless Redis may have lost the note: the record was made again, or says
-- possible_duplicate, or the caller says so. A's chat may be two asks old.

local record = redis.call('HMGET', KEYS[1], 'status', 'chat_id', 'asked_at', 'ended_chat', 'made',
	'possible_duplicate', 'other_chat_ids')
local status, chat, asked_at, ended_chat, made, duplicate, others = unpack(record, 1, 7)
if chat == ARGV[1] or ended_chat == ARGV[1] then return 1 end
if not status and not chat then
	if ARGV[6] ~= '1' then return GONE end
	redis.call('HSET', KEYS[1], 'chat_id', ARGV[1], 'conversation_id', ARGV[2], 'made', 1)
	redis.call('EXPIRE', KEYS[1], ARGV[7])
	return 1
end
if others and string.find(others, '"' .. ARGV[1] .. '"', 1, true) then return 0 end
if ARGV[4] == '1' and ARGV[5] ~= '1' and not made and not duplicate then return 1 end
if not ENDED[status] and not chat and (not asked_at or asked_at == ARGV[3]) then
	redis.call('HSET', KEYS[1], 'chat_id', ARGV[1], 'conversation_id', ARGV[2])
	redis.call('HDEL', KEYS[1], 'asked_at')
	return 1
end
add_other_chat(ARGV[1])
return 0
