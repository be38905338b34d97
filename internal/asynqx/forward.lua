-- This goes before asynq's script that makes tasks pending that have fallen due: those of tenants go into the tenants'
-- lists.
--
-- KEYS: 1 scheduled or retry, 2 pending: as asynq passes them; 3 ring, 4 scheduled
-- ARGV: 1 to 4 as asynq passes them (1 now in seconds, 2 the prefix of a task's key, 3 now in nanoseconds)
-- Reply: that of asynq's script: how many tasks were moved
--
-- Invariant: a due task leaves the scheduled ones and enters one list in one step. asynq calls its script until it replies 0.
-- So this one needs not look behind the tasks that asynq's would take next: if it has moved any, it ends here.

local moved = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)) do
	local task = ARGV[2] .. id
	local tenant = redis.call('HGET', task, 'tenant')
	if tenant then
		redis.call('ZREM', KEYS[1], id)
		redis.call('HSET', task, 'pending_since', ARGV[3])
		file(KEYS[3], KEYS[4], task, id, tenant)
		moved = moved + 1
	end
end
if moved > 0 then return moved end
