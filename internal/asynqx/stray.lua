-- Puts one active task without a lease back at the head of its queue.
--
-- KEYS: 1 asynq's leases, 2 active, 3 pending, 4 task
-- ARGV: 1 id, 2 now in nanoseconds
-- Reply: 1 put back, 0 it has a lease, is not active, or is gone
--
-- Invariant: as in orphans.lua. asynq adds a task to active and to the leases in one step, so a task that is being taken
-- is never seen here without its lease.

if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('LREM', KEYS[2], 0, ARGV[1]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[4]) == 0 then return 0 end
redis.call('HSET', KEYS[4], 'state', 'pending', 'pending_since', ARGV[2])
redis.call('RPUSH', KEYS[3], ARGV[1])
return 1
