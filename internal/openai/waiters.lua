-- Takes a request out of those that wait for a task, and counts the others.
--
-- KEYS: 1 the waiting requests: a sorted set, by the second at which the lease of each ends
-- ARGV: 1 now in seconds, 2 the name of the request that leaves ('' = none)
-- Reply: how many wait
--
-- Invariant: a request whose serve has died counts until its lease ends, not longer.

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if ARGV[2] ~= '' then redis.call('ZREM', KEYS[1], ARGV[2]) end
return redis.call('ZCARD', KEYS[1])
