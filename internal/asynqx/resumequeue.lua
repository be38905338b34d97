-- Ends cozeq's pause of a queue for one credential, and asynq's pause with the last one.
--
-- KEYS: 1 asynq's pause, 2 cozeq's note of it
-- ARGV: 1 the credential's field
-- Reply: not used
--
-- Invariant: a queue is paused in asynq as long as it is for one credential. A pause of another stamp is an operator's and
-- stays. The field "credential" names one of those that are left.

local stamp = redis.call('HGET', KEYS[2], 'stamp')
if not stamp then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
	local other = string.match(field, '^credential:(.+)$')
	if other then return redis.call('HSET', KEYS[2], 'credential', other) end
end
redis.call('DEL', KEYS[2])
if redis.call('GET', KEYS[1]) ~= stamp then return 0 end
return redis.call('DEL', KEYS[1])
