-- Puts a task of a tenant into its queue. It goes behind asynq's scripts that enqueue or schedule a task, each of which is
-- a function enqueue before it.
--
-- KEYS: those of asynq's script (1 the task's key, 2 pending or scheduled), then ring, scheduled
-- ARGV: those of asynq's script, then id, tenant, the channel that wakes idle workers
-- Reply: that of asynq's script: 1, or 0 if there was a task of this id, which is left alone
--
-- Invariant: a task is in one list: its tenant's, or the scheduled ones. A task that is scheduled gets the name of its tenant
-- alone: forward.lua and run.lua put it into the tenant's list. As with enqueue.lua, idle workers are woken if nothing waited
-- before.

local reply = enqueue()
if reply == 1 then
	local ring, id, tenant, work = KEYS[#KEYS - 1], ARGV[#ARGV - 2], ARGV[#ARGV - 1], ARGV[#ARGV]
	redis.call('HSET', KEYS[1], 'tenant', tenant)
	if redis.call('HGET', KEYS[1], 'state') == 'pending' then
		redis.call('LREM', KEYS[2], 1, id) -- the first
		if redis.call('EXISTS', KEYS[2], ring) == 0 then redis.call('PUBLISH', work, '') end
		file(ring, KEYS[#KEYS], KEYS[1], id, tenant)
	end
end
return reply
