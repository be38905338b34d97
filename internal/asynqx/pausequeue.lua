-- Pauses a queue as asynq's Inspector does, and notes for which credential.
--
-- KEYS: 1 asynq's pause, 2 cozeq's note of it
-- ARGV: 1 now in seconds, 2 credential, 3 its field
-- Reply: 1 paused for it, 0 it was before, or an operator has paused or resumed the queue
--
-- Invariant: asynq's pause and the note change in one step. A process that died between two steps would leave a pause that
-- is never undone. An operator's pause (no note of the same stamp) is not touched. Neither is a queue that an operator has
-- resumed (a note, but no pause): the sweep probes it first.

local stamp = redis.call('GET', KEYS[1])
if stamp ~= redis.call('HGET', KEYS[2], 'stamp') then return 0 end
if not stamp then
	redis.call('SET', KEYS[1], ARGV[1])
	redis.call('HSET', KEYS[2], 'stamp', ARGV[1], 'credential', ARGV[2])
end
return redis.call('HSETNX', KEYS[2], ARGV[3], '')
