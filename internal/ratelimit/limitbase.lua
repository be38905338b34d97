-- Shared code of limit.lua, refused.lua and known.lua, put before each of them.

local START, FLOOR = 20, 0.05 -- calls a second: the first rate (the QPS of Coze's free plan), the lowest
local K = 6                   -- s from a cut back to just below the rate that was refused
local TTL = 3600              -- s that an idle limit is remembered, up to a minute less: see save

-- The fields that a permit needs. Missing ones read as 0; top is missing until a refusal, or until the limit is known.
local HOT = { 'rate', 'top', 'beta', 'grown', 'at', 'issued', 'tokens', 'calls', 'blocked', 'deferred' }

local t = redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local now = us / 1000 -- ms

local function load(key, names)
	local was = redis.call('HMGET', key, unpack(names))
	-- With all fields at once: to grow with each takes longer than all else here.
	local limit = { rate = 0, top = 0, beta = 0, grown = 0, at = 0, issued = 0, tokens = 0, calls = 0, blocked = 0, deferred = 0,
		was = was, came = 0 }
	for i = 1, #names do
		was[i] = (was[i] or 0) + 0
		limit[names[i]] = was[i]
	end
	limit.came = limit.at
	if limit.at == 0 then limit.at = now end
	return limit
end

-- save writes what has changed since load with the same names, as a number takes Redis longer to write than to compare. The
-- first save of a minute renews the key's life.
local function save(key, limit, names)
	local list, n = {}, 0
	for i = 1, #names do
		local value = limit[names[i]]
		if value ~= limit.was[i] then
			list[n + 1], list[n + 2] = names[i], value
			n = n + 2
		end
	end
	if n > 0 then redis.call('HSET', key, unpack(list)) end
	if math.floor((limit.came or 0) / 60000) ~= math.floor(now / 60000) then redis.call('EXPIRE', key, TTL) end
end
