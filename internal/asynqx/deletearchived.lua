-- Deletes a task from the archive, as asynq's Inspector does, but only from there.
--
-- KEYS: 1 archived, 2 the task
-- ARGV: 1 the task's id
-- Reply: 1 deleted, 0 it is not in the archive
--
-- Invariant: a task that somebody has run meanwhile stays: asynq's own script would delete it from the pending ones, and its
-- waiters would wait for ever.

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
local unique = redis.call('HGET', KEYS[2], 'unique_key')
if unique and unique ~= '' and redis.call('GET', unique) == ARGV[1] then redis.call('DEL', unique) end
redis.call('DEL', KEYS[2])
return 1
