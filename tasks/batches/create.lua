-- Creates a batch, unless one of its id exists.
--
-- KEYS: 1 batch, 2 states, 3 asks, 4 rows
-- ARGV: 1 number of rows, 2 TTL in seconds, then names and values of the batch's hash
-- Reply: 1 created, 0 there was one, which is left alone
--
-- Invariant: the batch and its rows appear in one step, all rows queued. Keys that an evicted batch of the same id has left
-- are deleted.

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'queued', ARGV[1], unpack(ARGV, 3))
redis.call('SET', KEYS[2], string.rep('q', tonumber(ARGV[1])), 'EX', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
