-- Extends the life of an open batch.
--
-- KEYS: 1 batch, 2 states, 3 asks, 4 rows
-- ARGV: 1 TTL in seconds
-- Reply: 1 extended, 0 the batch has ended and has its own time to live
--
-- Invariant: all four keys live equally long. The end of a row does not do this: it would be four commands more for each row.

if redis.call('HEXISTS', KEYS[1], 'ended_at') == 1 then return 0 end
expire_in(ARGV[1])
return 1
