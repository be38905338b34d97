-- Shared code of the scripts that put tasks into the lists of their tenants or take them out, put before each of them.
--
-- A task of a tenant that waits for a worker is not in asynq's pending list but in its tenant's: so that 100,000 tasks of
-- one are not before the one of another. For asynq, and for asynqmon, it is scheduled, at a moment that never comes.
--
--   ring (list)          who has tasks that wait, each once; the last is the next one's turn. '' stands for asynq's pending
--                        list: the tasks without a tenant are a tenant of their own
--   ring:NAME (list)     the ids of a tenant's tasks, the first is the next
--   scheduled (zset)     asynq's; the task has the score FILED. This decides: an id in a list without it has been deleted,
--                        archived or run by hand, and is passed over
--   t:ID (hash)          asynq's task; its field tenant is cozeq's, and asynq's scripts leave it alone
--
-- Invariant: a name is in the ring if its list is not empty.

local FILED = '253402214400' -- 9999-12-31

local function filed(scheduled, id)
	local score = redis.call('ZSCORE', scheduled, id)
	return score and tonumber(score) == tonumber(FILED)
end

-- take_part gives a tenant its turns, after all others'.
local function take_part(ring, name)
	if redis.call('EXISTS', ring) == 0 then redis.call('RPUSH', ring, '') end
	redis.call('LPUSH', ring, name)
end

-- file puts a task, which is in none of asynq's lists, at the end of its tenant's. task is its key.
local function file(ring, scheduled, task, id, tenant)
	redis.call('ZADD', scheduled, FILED, id)
	redis.call('HSET', task, 'state', 'scheduled')
	local list = ring .. ':' .. tenant
	if redis.call('RPUSH', list, id) == 1 then take_part(ring, tenant) end
end

