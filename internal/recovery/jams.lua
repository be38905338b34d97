-- Lists due tasks whose key holds something else than a hash.
--
-- KEYS: 1 asynq's scheduled or retry
-- ARGV: 1 now in Unix seconds, 2 prefix of task keys, 3 how many to look at
-- Reply: the ids
--
-- Invariant: it only reads. asynq's script that moves due tasks to the queue fails at the first such task, and leaves all
-- that come after it: no task of the queue would be tried again.

local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
	local kind = redis.call('TYPE', ARGV[2] .. id).ok
	if kind ~= 'hash' and kind ~= 'none' then reply[#reply + 1] = id end
end
return reply
