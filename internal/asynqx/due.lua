-- Lists tasks whose leases run out, each with its message.
--
-- KEYS: 1 asynq's leases
-- ARGV: 1 lease limit in Unix seconds, 2 prefix of task keys, 3 how many at most
-- Reply: id, message, id, message ...; '' for a message that is gone or cannot be read
--
-- Invariant: it only reads.
--
-- The task keys are not among KEYS, as their ids come from the leases. They share the queue's slot.

local reply = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
	local msg = redis.pcall('HGET', ARGV[2] .. id, 'msg') -- fails if the key holds no hash
	reply[#reply + 1] = id
	reply[#reply + 1] = type(msg) == 'string' and msg or ''
end
return reply
