-- This goes before asynq's dequeue script: it decides whether a pause of the queue concerns this worker, and whose turn it
-- is.
--
-- KEYS: 1 pending, 2 asynq's pause, 3 active, 4 lease: as asynq passes them; 5 cozeq's note of the pause,
--       6 a key that never exists, 7 ring, 8 scheduled
-- ARGV: 1, 2 as asynq passes them (2 the prefix of a task's key); the rest are the credentials of this worker
-- Reply: that of asynq's script
--
-- asynq takes nothing from a queue whose pause exists. A pause without cozeq's note of the same stamp is an
-- operator's and holds for all workers. One with that note holds for the workers whose credentials it names, all of
-- them if a worker has several. Other workers look for the pause under the key that never exists. So does a worker of
-- a paused credential for one task if the note has a probe for it; the probe is spent only on a task that is there.
--
-- Invariant: reading and taking are one step, so one probe never lets two tasks out, however many workers wait.
--
-- asynq takes the last of its pending list. If it is a tenant's turn, the tenant's next task is put there. So between a
-- task's arrival at the head of its tenant's list and its turn, each other tenant gets one task at the most.
--
-- Mostly there is neither a pause nor a tenant: that is one command to find out.

if redis.call('EXISTS', KEYS[5], KEYS[7]) > 0 then
	local STALE = 1000 -- ids of deleted tasks that one call passes over: a millisecond

	-- next_of takes the next task out of a tenant's list, nil if it found none, and says whether it has looked far enough to
	-- know.
	local function next_of(list)
		for _ = 1, STALE do
			local id = redis.call('LPOP', list)
			if not id then return nil, true end
			if filed(KEYS[8], id) then return id, true end
		end
		return nil, false
	end

	-- take_turn puts the task whose turn it is where asynq takes it, if it is not there already.
	local taken = false
	local function take_turn()
		if taken then return end
		taken = true
		for _ = 1, redis.call('LLEN', KEYS[7]) do
			local name = redis.call('LINDEX', KEYS[7], -1)
			if name == '' then
				if redis.call('LLEN', KEYS[7]) == 1 then
					redis.call('DEL', KEYS[7])
					return
				end
				redis.call('RPOPLPUSH', KEYS[7], KEYS[7])
				if redis.call('LLEN', KEYS[1]) > 0 then return end
			else
				local list = KEYS[7] .. ':' .. name
				local id, rest = next_of(list)
				if redis.call('EXISTS', list) == 0 then
					redis.call('RPOP', KEYS[7])
				elseif rest then
					redis.call('RPOPLPUSH', KEYS[7], KEYS[7])
				end
				if not rest then return end
				if id then
					redis.call('ZREM', KEYS[8], id)
					if redis.call('EXISTS', ARGV[2] .. id) == 1 then redis.call('HSET', ARGV[2] .. id, 'state', 'pending') end
					redis.call('RPUSH', KEYS[1], id)
					return
				end
			end
		end
	end

	local stamp = redis.call('HGET', KEYS[5], 'stamp')
	if stamp and stamp == redis.call('GET', KEYS[2]) then
		for i = 3, #ARGV do
			local field = 'credential:' .. ARGV[i]
			local held = redis.call('HGET', KEYS[5], field)
			if held == 'probe' then take_turn() end
			if not held then
				KEYS[2] = KEYS[6]
				break
			elseif held == 'probe' and redis.call('LLEN', KEYS[1]) > 0 then
				redis.call('HSET', KEYS[5], field, '')
				KEYS[2] = KEYS[6]
				break
			end
		end
	end
	if redis.call('EXISTS', KEYS[7]) == 1 and redis.call('EXISTS', KEYS[2]) == 0 then take_turn() end
end
