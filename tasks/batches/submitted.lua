-- Notes that all rows of a batch have been added.
--
-- KEYS: 1 batch
-- ARGV: 1 now
-- Reply: 1 noted, 0 there is no batch, 2 it is canceled
--
-- Race: a batch that is canceled at this moment has its note before this one, and the reply says so.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if is_canceled() then return 2 end
redis.call('HSETNX', KEYS[1], 'submitted_at', ARGV[1])
return 1
