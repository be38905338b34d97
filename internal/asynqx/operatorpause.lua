-- Pauses a queue for an operator.
--
-- KEYS: 1 asynq's pause, 2 cozeq's note of it
-- ARGV: 1 now in seconds
-- Reply: 1 paused, 0 it was an operator's pause already
--
-- Invariant: a pause without cozeq's note is an operator's, so the note goes, and cozeq never ends the pause.

local stamp = redis.call('HGET', KEYS[2], 'stamp')
redis.call('DEL', KEYS[2])
if redis.call('SETNX', KEYS[1], ARGV[1]) == 1 then return 1 end
if stamp and redis.call('GET', KEYS[1]) == stamp then return 1 end
return 0
