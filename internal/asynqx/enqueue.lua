-- Wakes idle workers when a queue that was empty gets a task. asynq's own script to enqueue is put behind it.
--
-- KEYS: as asynq has them: 1 the task, 2 the list that it goes to
-- ARGV: asynq's
-- Reply: asynq's
--
-- Where the list has tasks already nobody is idle, so 100,000 tasks at once wake once. 
--
-- Invariant: the message comes before the task, but both are one step: a worker that hears it finds the task. If asynq then
-- refuses the task (its id is taken), or the message is lost, a worker has looked once in vain, or looks 25 ms later.

if string.sub(KEYS[2] or '', -8) == ':pending' and redis.call('LLEN', KEYS[2]) == 0 then
	redis.call('PUBLISH', 'cozeq:queue:' .. string.sub(KEYS[2], 7, -9) .. ':work', '')
end

