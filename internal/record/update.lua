-- Writes fields of an open record for its owner.
--
-- KEYS: 1 record
-- ARGV: 1 owner, 2 '1' to make a record that is gone, 3 its TTL in seconds then, 4 the chat that the owner believes the
--       record names, 5 the chat that it writes, 6 '1' for the asked note, 7 how many names to delete, those names,
--       then names and values to set
-- Reply: 1 written; 2 written, and a cancellation is requested; GONE; FENCED; 3 (TAKEN) the asked note is refused, as
--        the question has a chat already
--
-- Invariant: only the newest owner writes, and nobody after the end. A write that was stuck in a broken connection can
-- arrive after the owner's own finish.lua.
--
-- Reply 2: the request to cancel may have been published before this attempt listened. It must not be lost when the
-- task goes back to the queue.
--
-- A chat in the record that the owner does not know was handed over by an attempt that this owner fenced (give.lua).
-- It is never dropped. The asked note is refused. A write that names another chat keeps it among the other chats. Any
-- other write leaves it in place.

local TAKEN = 3

local record = redis.call('HMGET', KEYS[1], 'owner', 'status', 'chat_id', 'cancel')
local status, chat = record[2], record[3]
local refused = refusal(record[1], status, ARGV[1], ARGV[2])
if refused then return refused end
if ENDED[status] then return FENCED end
local unknown = chat and chat ~= ARGV[4] and chat ~= ARGV[5]
if unknown and ARGV[6] == '1' then return TAKEN end
local conversation = unknown and redis.call('HGET', KEYS[1], 'conversation_id')
local drop = tonumber(ARGV[7])
if drop > 0 then redis.call('HDEL', KEYS[1], unpack(ARGV, 8, 7 + drop)) end
redis.call('HSET', KEYS[1], unpack(ARGV, 8 + drop))
if unknown and ARGV[5] ~= '' then
	add_other_chat(chat)
elseif unknown then
	redis.call('HSET', KEYS[1], 'chat_id', chat, 'conversation_id', conversation or '')
	redis.call('HDEL', KEYS[1], 'asked_at')
end
if not status then
	redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'made', 1) -- see begin.lua
	redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return record[4] and 2 or 1
