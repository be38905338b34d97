-- One permit for one call to Coze, of one credential and for one bot.
--
-- KEYS: 1 the account's limit, 2 the bot's limit, 3 the account's pause, 4 the bot's pause
-- ARGV: 1 "chat" or "poll", 2 the account's highest rate (calls a second, 0 = none),
--       3 ticket at the bot, 4 ticket at the account (0 = none yet), 5 longest wait in place (ms)
-- Answer: { verdict, ms, ticket at the bot, ticket at the account, rate, now, class of the pause }
--   "go"      the call may be made after so many ms, mostly 0
--   "probe"   the same, and the call is to show whether the pause is over
--   "wait"    ask again with these tickets after so many ms
--   "far"     no ticket was drawn: come back after so many ms
--   "paused"  by the account's pause; "bot"  by the bot's; ms to the next probe
--
-- A limit is a queue at a counter. Who comes draws a ticket (issued); the counter
-- serves tickets (served) at the rate, and a ticket is good when it has been
-- served. So a change of the rate acts at once on all who wait, which it would not
-- on times that were promised to them. Somebody who drew a ticket and died is
-- served like the others.
--
-- The rate follows CUBIC (RFC 9438), which settles just under a limit that nobody
-- tells: after a refusal it is cut a little, comes back fast to just below where it
-- was refused, stays there, and only then feels its way up, ever faster. It grows
-- only while there is somebody who waits: an idle limit learns nothing.

local START, FLOOR = 20, 0.05    -- calls a second: the first rate (the QPS of Coze's free plan), the lowest
local DOUBLE = 1                 -- s to double the rate before the first refusal
local K = 6                      -- s from a cut back to the rate that was refused
local TTL = 3600                 -- s that an idle limit is remembered
local PROBE_MAX = 600000         -- ms between two probes at the most
local SHORT = 100                -- ms: a wait that nobody need come back from to ask again

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000

local function load(key, first)
	local f = redis.call('HMGET', key, 'rate', 'issued', 'served', 'at', 'top', 'beta', 'grown', 'blocked', 'deferred')
	local b = { key = key, rate = tonumber(f[1]) or first, issued = tonumber(f[2]) or 0, served = tonumber(f[3]) or 0,
		at = tonumber(f[4]) or now, top = tonumber(f[5]), beta = tonumber(f[6]) or 1, grown = tonumber(f[7]) or 0,
		blocked = tonumber(f[8]) or 0, deferred = tonumber(f[9]) or 0 }
	return b
end

-- step brings a limit to now.
local function step(b, highest)
	local from = math.max(b.at, b.blocked)
	local dt = math.max(0, now - from) / 1000
	b.at = math.max(b.at, now)
	if b.issued > b.served then
		local grow = math.min(dt, 1)
		if not b.top then
			b.rate = b.rate * 2 ^ (grow / DOUBLE)
		else
			b.grown = b.grown + grow
			b.rate = b.top * (1 + (1 - b.beta) * (b.grown / K - 1) ^ 3)
		end
	end
	b.rate = math.max(b.rate, FLOOR)
	if highest > 0 and b.rate > highest then b.rate = highest end
	-- A counter that is idle saves up a twentieth of a second, one call at the least:
	-- without that the first who comes would wait, and a late one would be lost.
	b.served = math.min(b.served + b.rate * dt, b.issued + math.max(1, b.rate / 20))
	b.deferred = math.max(0, b.deferred - b.rate * dt)
end

local function save(b)
	redis.call('HSET', b.key, 'rate', b.rate, 'issued', b.issued, 'served', b.served, 'at', b.at, 'grown', b.grown,
		'deferred', b.deferred)
	redis.call('EXPIRE', b.key, TTL)
end

-- pass returns how many ms to wait with the ticket, 0 = it is good, or nil and the
-- ms to stay away where that is too far.
local function pass(b, ticket, near)
	local blocked = math.max(0, b.blocked - now)
	if ticket == 0 then
		local wait = blocked + (b.issued + 1 - b.served) / b.rate * 1000
		if wait > near and b.top then -- before the first refusal the rate says nothing of the limit
			b.deferred = b.deferred + 1
			return nil, 0, wait + b.deferred / b.rate * 1000
		end
		b.issued = b.issued + 1
		ticket = b.issued
	end
	if b.served >= ticket then return 0, ticket end
	return blocked + (ticket - b.served) / b.rate * 1000, ticket
end

local function paused(key)
	local next_probe = tonumber(redis.call('HGET', key, 'next_probe'))
	if not next_probe then return nil end
	if now < next_probe then return next_probe - now end
	local interval = tonumber(redis.call('HGET', key, 'interval'))
	redis.call('HSET', key, 'next_probe', now + interval, 'interval', math.min(2 * interval, PROBE_MAX))
	return 0
end

local near = tonumber(ARGV[5])
local bot_ticket, ticket = tonumber(ARGV[3]), tonumber(ARGV[4])
local function answer(verdict, ms, rate)
	return { verdict, string.format('%.0f', math.ceil(ms)), string.format('%.0f', bot_ticket),
		string.format('%.0f', ticket), string.format('%.3f', rate or 0), string.format('%.3f', now), '' }
end

local function stay_out(verdict, key, ms)
	local a = answer(verdict, ms)
	a[7] = redis.call('HGET', key, 'class') or ''
	return a
end

-- Who waits already for a permit is told of a pause too.
local probe = false
if ARGV[1] == 'chat' then
	local wait = paused(KEYS[3])
	if wait and wait > 0 then return stay_out('paused', KEYS[3], wait) end
	local bot_wait = paused(KEYS[4])
	if bot_wait and bot_wait > 0 then return stay_out('bot', KEYS[4], bot_wait) end
	probe = wait == 0 or bot_wait == 0
end

-- The bot first: a ticket of the account must not lie idle while the bot is slow.
if bot_ticket >= 0 and redis.call('EXISTS', KEYS[2]) == 1 then
	local b = load(KEYS[2], START)
	step(b, 0)
	local wait, drawn, stay = pass(b, bot_ticket, near)
	save(b)
	if not wait then
		if not probe then return answer('far', stay, b.rate) end
	else
		bot_ticket = drawn
		if wait > 0 and not probe then return answer('wait', wait, b.rate) end
	end
end
bot_ticket = -1 -- served: the next call need not look

local a = load(KEYS[1], START)
step(a, tonumber(ARGV[2]))
local wait, drawn, stay = pass(a, ticket, near)
save(a)
if probe then return answer('probe', 0, a.rate) end
if not wait then return answer('far', stay, a.rate) end
ticket = drawn
if wait > SHORT then return answer('wait', wait, a.rate) end
redis.call('HINCRBY', KEYS[1], 'calls', 1) -- what refused.lua sets refusals against
return answer('go', wait, a.rate)
