-- Takes an empty lane off the registry.
--
-- KEYS: 1 registry
-- ARGV: 1 lane, 2 the score that the sweep saw
-- Reply: 0
--
-- Race: a turn may join between the sweep's look at the lane and this call. Joining changes the score first, so a lane
-- with another score stays registered.

if redis.call('ZSCORE', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
