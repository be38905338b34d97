-- Ends an operator's pause of a queue.
--
-- KEYS: 1 asynq's pause, 2 cozeq's note of it
-- Reply: 1 ended, 0 there is no pause, or it is cozeq's
--
-- Invariant: a pause with cozeq's note of the same stamp ends when a probe is answered, not here.

local stamp = redis.call('GET', KEYS[1])
if not stamp or redis.call('HGET', KEYS[2], 'stamp') == stamp then return 0 end
return redis.call('DEL', KEYS[1])
