-- This goes before asynq's dequeue script: it decides whether a pause of the queue concerns this worker.
--
-- KEYS: 1 pending, 2 asynq's pause, 3 active, 4 lease: as asynq passes them; 5 cozeq's note of the pause,
--       6 a key that never exists
-- ARGV: 1, 2 as asynq passes them; the rest are the credentials of this worker
-- Reply: that of asynq's script
--
-- asynq takes nothing from a queue whose pause exists. A pause without cozeq's note of the same stamp is an
-- operator's and holds for all workers. One with that note holds for the workers whose credentials it names, all of
-- them if a worker has several. Other workers look for the pause under the key that never exists. So does a worker of
-- a paused credential for one task if the note has a probe for it; the probe is spent only on a task that is there.
-- Reading and taking are one step, so one probe never lets two tasks out, however many workers wait.

local stamp = redis.call('HGET', KEYS[5], 'stamp')
if stamp and stamp == redis.call('GET', KEYS[2]) then
	for i = 3, #ARGV do
		local field = 'credential:' .. ARGV[i]
		local held = redis.call('HGET', KEYS[5], field)
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

