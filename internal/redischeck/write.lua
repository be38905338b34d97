-- Writes a key of a check, which lapses by itself.
--
-- KEYS: 1 a key that no other process has
-- ARGV: 1 how long it lives (ms)
-- Reply: OK
--
-- Invariant: the key is never without its time to live.

return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
