-- Begins a pause, or notes what the last probe was answered.
--
-- KEYS: 1 the pause
-- ARGV: 1 now (ms), 2 time to the first probe (ms), 3 the longest time between two (ms), then names and values
-- Reply: 1 begun, 0 it stood already
--
-- Invariant: every pause has a next probe, and a failed probe doubles the time to the next one. A probe moves next_probe on
-- when it takes its permit (internal/ratelimit/limit.lua), which it does only once it has a conversation to ask in. One that is
-- refused before that was a probe too, so next_probe is moved on here if it is due still.

local fresh = redis.call('HSETNX', KEYS[1], 'since', ARGV[1])
if fresh == 1 then
	redis.call('HSET', KEYS[1], 'next_probe', ARGV[1] + ARGV[2], 'interval', 2 * ARGV[2])
else
	local due = redis.call('HMGET', KEYS[1], 'next_probe', 'interval')
	if tonumber(ARGV[1]) >= tonumber(due[1]) then
		redis.call('HSET', KEYS[1], 'next_probe', ARGV[1] + due[2], 'interval', math.min(2 * due[2], ARGV[3]))
	end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
return fresh
