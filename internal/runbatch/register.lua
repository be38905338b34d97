-- Replaces the rows of a run's batch by what the run knows of them.
--
-- KEYS: 1 batch, 2 states, 3 asks, 4 rows
-- ARGV: 1 TTL in seconds, 2 states, 3 asks ('': each row was asked once), then names and numbers of the batch's hash
-- Reply: 1 replaced, 0 there is no batch
--
-- Race: a task may still be in the queue although its row has ended and its record is gone. The worker that takes it up
-- asks the batch. If it found the row queued for a moment it would ask the question again, so all rows change at once.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
	if string.sub(name, 1, 7) == 'failed:' then redis.call('HDEL', KEYS[1], name) end
end
redis.call('HDEL', KEYS[1], 'ended_at', 'canceled_at', 'submitted_at', 'settled')
for _, name in pairs(NAMES) do redis.call('HDEL', KEYS[1], name) end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[3] == '' then redis.call('DEL', KEYS[3]) else redis.call('SET', KEYS[3], ARGV[3]) end
expire_in(ARGV[1])
return 1
