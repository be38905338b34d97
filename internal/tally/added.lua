-- Notes how far the rows of a batch have been enqueued, and extends its life.
--
-- KEYS: 1 batch, 2 states, 3 asks, 4 rows
-- ARGV: 1 the last row, 2 TTL in seconds
-- Reply: 1 noted, 0 there is no batch, 2 noted, but the batch is canceled
--
-- Invariant: the note never goes back: a call that is repeated, or comes late, changes nothing.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'enqueued') or 0) < tonumber(ARGV[1]) then
	redis.call('HSET', KEYS[1], 'enqueued', ARGV[1])
end
expire_in(ARGV[2])
return is_canceled() and 2 or 1
