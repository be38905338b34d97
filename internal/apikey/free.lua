-- Frees the places of what has ended.
--
-- KEYS: 1 open, 2 rows: see admit.lua
-- ARGV: for each its member, its score as it was seen, and how many rows of it are open (0: it has ended)
-- Reply: how many places are free now that were not
--
-- Race: a batch may be admitted again, for a retry, between the look at it and this call. It then has another score, and is
-- left alone.

local freed = 0
for i = 1, #ARGV, 3 do
	local member, rows = ARGV[i], tonumber(ARGV[i + 2])
	local score = redis.call('ZSCORE', KEYS[1], member)
	if score and tonumber(score) == tonumber(ARGV[i + 1]) then
		local had = tonumber(redis.call('HGET', KEYS[2], member)) or 1
		if rows == 0 then
			redis.call('ZREM', KEYS[1], member)
			redis.call('HDEL', KEYS[2], member)
		elseif rows < had then
			redis.call('HSET', KEYS[2], member, rows)
		end
		freed = freed + math.max(0, had - rows)
	end
end
return freed
