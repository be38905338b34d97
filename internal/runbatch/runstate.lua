-- Reads the rows of a run's batch in one step, so that the tokens are those of the rows that have ended.
--
-- KEYS: 1 batch, 2 states, 3 asks
-- Reply: tokens, output tokens, input tokens, states, asks; an empty list if the batch is gone
--
-- Invariant: it only reads.

if is_gone() then return {} end
local reply = redis.call('HMGET', KEYS[1], 'tokens', 'output_tokens', 'input_tokens')
for i = 1, 3 do reply[i] = reply[i] or '0' end
reply[4] = redis.call('GET', KEYS[2])
reply[5] = redis.call('GET', KEYS[3]) or ''
return reply
