-- Makes the next probe of a pause due now.
--
-- KEYS: 1 the pause
-- ARGV: 1 the first time between two probes (ms), to start with it again
-- Reply: 1 due, 0 there is no pause
--
-- Invariant: a pause that ended meanwhile does not come back as a hash of two fields.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'next_probe', 0, 'interval', ARGV[1])
return 1
