-- Ends a task that has no chat, or asks its worker to end it.
--
-- KEYS: 1 record, 2 body, 3 deltas
-- ARGV: 1 status expected, 2 '1' to end the task here, 3 TTL in seconds, 4 channel, 5 message, 6 channel of the
--       workers, 7 task id, 8 now, 9 error class, 10 error text, 11 owner expected, 12 chat expected
-- Reply: 1 done, 0 the record has changed: read it again
--
-- Invariant: the message was made from a record that was read before, so the record must still be that one. A worker
-- that begins in between changes the owner, and the reply is 0. If this script is first, the worker finds the end. The
-- status alone is not enough: a worker that begins, asks and puts the task aside in between leaves it "waiting" as it
-- was, but with a chat that must be canceled at Coze.

local record = redis.call('HMGET', KEYS[1], 'status', 'owner', 'chat_id')
if record[1] ~= ARGV[1] or (record[2] or '') ~= ARGV[11] or (record[3] or '') ~= ARGV[12] then return 0 end
if ARGV[2] ~= '1' then
	redis.call('HSET', KEYS[1], 'cancel', '1')
	redis.call('PUBLISH', ARGV[6], ARGV[7])
	return 1
end
redis.call('HDEL', KEYS[1], 'owner', 'cancel', 'made', 'ended_chat', 'ended_conversation', 'tools', 'waits', 'waiting_since',
	'keep', 'error_code', 'error_hint', 'logid')
redis.call('HSET', KEYS[1], 'status', 'canceled', 'completed_at', ARGV[8], 'error_class', ARGV[9], 'error_msg', ARGV[10])
local in_batch = redis.call('HEXISTS', KEYS[1], 'kept') == 1
close(ARGV[3], in_batch, redis.call('EXISTS', KEYS[3]) == 1, ARGV[4], ARGV[5])
return 1
