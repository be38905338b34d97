-- Puts tasks whose leases run out back at the head of their queue.
--
-- KEYS: 1 asynq's leases, 2 active, 3 pending
-- ARGV: 1 lease limit in Unix seconds, 2 prefix of task keys, 3 now in nanoseconds, then the ids
-- Reply: the ids that were put back
--
-- Invariant: a task is in one of asynq's lists at a time. The lease is read again here, as a live worker may have
-- extended it since due.lua saw it, and the task is put back only if it was active and still exists.

local back = {}
for i = 4, #ARGV do
	local id = ARGV[i]
	local lease = redis.call('ZSCORE', KEYS[1], id)
	if lease and tonumber(lease) <= tonumber(ARGV[1]) then
		redis.call('ZREM', KEYS[1], id)
		if redis.call('LREM', KEYS[2], 0, id) > 0 and redis.call('EXISTS', ARGV[2] .. id) == 1 then
			redis.call('HSET', ARGV[2] .. id, 'state', 'pending', 'pending_since', ARGV[3])
			redis.call('RPUSH', KEYS[3], id)
			back[#back + 1] = id
		end
	end
end
return back
