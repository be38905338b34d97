-- Shared code of limit.lua, refused.lua and known.lua, put before each of them.

local START, FLOOR = 20, 0.05 -- calls a second: the first rate (the QPS of Coze's free plan), the lowest
local K = 6                   -- s from a cut back to just below the rate that was refused
local TTL = 3600              -- s that an idle limit is remembered

-- The fields that a permit needs. Missing ones read as 0; top is missing until a refusal, or until the limit is known.
local HOT = { 'rate', 'top', 'beta', 'grown', 'at', 'issued', 'served', 'calls', 'blocked', 'deferred' }

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000 -- ms

local function load(key, names)
	local values, limit = redis.call('HMGET', key, unpack(names)), {}
	for i, name in ipairs(names) do limit[name] = tonumber(values[i]) or 0 end
	if limit.at == 0 then limit.at = now end
	return limit
end

local function save(key, limit, names)
	local list = {}
	for i, name in ipairs(names) do list[2 * i - 1], list[2 * i] = name, limit[name] end
	redis.call('HSET', key, unpack(list))
	redis.call('EXPIRE', key, TTL)
end
