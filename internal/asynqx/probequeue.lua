-- Lets the workers of a credential take one task from a queue that is paused for it.
--
-- KEYS: 1 asynq's pending, 2 cozeq's note of the pause, 3 ring of the tenants
-- ARGV: 1 the credential's field
-- Reply: 1 one may be taken, 0 the queue is not paused for it, or has no task
--
-- Invariant: a probe is only noted where there is a task to take. dequeue.lua spends it.

if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 or redis.call('EXISTS', KEYS[1], KEYS[3]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], 'probe')
return 1
