-- Adds turns to a lane, in their order. A turn that is in the lane stays where it is.
--
-- KEYS: 1 lane
-- ARGV: 1 now in microseconds, 2 TTL in seconds, then for each turn its member and the place it had (0: none yet)
-- Reply: the place of each turn, then the member that is the head
--
-- Invariant: two turns never share a place, and a new turn is behind all others, even if an earlier turn came from a
-- process whose clock is ahead.
--
-- A place is the time of joining, so a turn that puts itself back after Redis has lost the lane comes to the same place
-- as before, whatever has joined in between.

local reply = {}
for i = 3, #ARGV, 2 do
	local place = redis.call('ZSCORE', KEYS[1], ARGV[i])
	if not place then
		place = tonumber(ARGV[i + 1])
		if place == 0 then
			place = tonumber(ARGV[1])
			local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
			if last[2] and tonumber(last[2]) >= place then place = tonumber(last[2]) + 1 end
		end
		redis.call('ZADD', KEYS[1], place, ARGV[i])
	end
	reply[#reply + 1] = string.format('%.0f', tonumber(place))
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
reply[#reply + 1] = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
return reply
