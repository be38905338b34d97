-- Notes how many rows of an ended batch have results with the batch's time to live.
--
-- KEYS: 1 batch
-- ARGV: 1 the number of rows, from the first
-- Reply: 1 noted, 0 the batch is open again
--
-- Race: a retry may open the batch while the sweep works. The note would then keep the next sweep from starting over.

if redis.call('HEXISTS', KEYS[1], 'ended_at') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'settled', ARGV[1])
return 1
