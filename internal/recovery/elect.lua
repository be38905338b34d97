-- Gives the sweep to the process that has it, or to the first that takes it, for a while.
--
-- KEYS: 1 the sweeper
-- ARGV: 1 the process, 2 for how long (ms)
-- Reply: 1 if the process has the sweep, else 0
--
-- Invariant: two processes that sweep at the same time do no harm, so a lost key needs no repair.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
