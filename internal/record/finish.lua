-- Ends a task: writes the terminal fields and publishes the result.
--
-- KEYS: 1 record, 2 body, 3 deltas
-- ARGV: 1 owner, 2 '1' to make a record that is gone, 3 TTL in seconds, 4 channel, 5 message, 6 '1' if the task has
--       deltas, 7 '1' to keep the body as long as the result, 8 the chat that the owner believes the record names,
--       9 the chat of the result, 10 the other chats of the result as the record has them, then names and values
-- Reply: 1 ended, GONE, FENCED, 4 (STALE) nothing was ended: the record names other chats than the result
--
-- Invariant: record and message change in one step. A waiter that subscribes first and then reads the record finds the
-- end in one of the two. STALE keeps both equal: the owner adds the other chats to the result and tries again.
--
-- go-redis sends a script again when the reply was lost. The second run finds that this owner has ended the task: it
-- replies 1 and publishes nothing.
--
-- The record is written anew, as the owner knows all that it is to say: what was noted for the next attempt goes, and so do
-- ids that the result has dropped. The record says what the message says.

local STALE = 4

local record = redis.call('HMGET', KEYS[1], 'owner', 'status', 'chat_id', 'other_chat_ids')
local status, chat, others = record[2], record[3], record[4]
local refused = refusal(record[1], status, ARGV[1], ARGV[2])
if refused then return refused end
if ENDED[status] then return 1 end
if chat and chat ~= ARGV[8] and chat ~= ARGV[9] then others = add_other_chat(chat) end
if (others or '') ~= ARGV[10] then return STALE end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], unpack(ARGV, 11))
close(ARGV[3], ARGV[7] == '1', ARGV[6] == '1', ARGV[4], ARGV[5])
return 1
