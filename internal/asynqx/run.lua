-- This goes before asynq's script that makes a task pending now: one of a tenant goes into the tenant's list.
--
-- KEYS: 1 the task's key, 2 pending, 3 groups: as asynq passes them; 4 ring, 5 scheduled
-- ARGV: 1 to 3 as asynq passes them (1 id, 2 the prefix of the queue's keys)
-- Reply: that of asynq's script: 1 done, which is also said of a task that is in its tenant's list already
--
-- Invariant: a task is in one list: a second call changes nothing.

local tenant, was = unpack(redis.call('HMGET', KEYS[1], 'tenant', 'state'))
if tenant and (was == 'scheduled' or was == 'retry' or was == 'archived') then
	if was == 'scheduled' and filed(KEYS[5], ARGV[1]) then return 1 end
	if redis.call('ZREM', ARGV[2] .. was, ARGV[1]) == 1 then
		local t = redis.call('TIME')
		redis.call('HSET', KEYS[1], 'pending_since', t[1] .. string.format('%06d', tonumber(t[2])) .. '000')
		file(KEYS[4], KEYS[5], KEYS[1], ARGV[1], tenant)
		return 1
	end
end
