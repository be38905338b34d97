-- A call was refused for its rate: the limit is cut.
--
-- KEYS: 1 the limit
-- ARGV: 1 when the call's permit was given (ms, the "now" of limit.lua), 2 for how long the server
--       wants nobody to call (ms, 0 = it did not say), 3 the account's rate: what a bot's limit begins
--       with, of which nothing was known
--
-- Permits that were given before the last cut, or within SPAN after it, tell nothing:
-- they were too many by the rate that has been cut already, or meet a server that
-- has nothing left of its own allowance at that moment. One refusal a while after
-- the last cut is the limit being felt for, which lies a little below as servers let
-- a burst pass first: 10 % less, and back to 5 % less. One soon after it says that
-- the limit is far below: 15 % less, and again. The last of these may be met just above
-- the limit, and then costs what it cuts: with 20 %, and back to 10 % less, the next
-- 6 s used 87 % of the limit; so it is back to 7 % less, which makes that 91 %.
--
-- Not every refusal is of the rate: a model that is overloaded now and then refuses
-- one call in ten however slowly they come, and cutting for that ends in a standstill.
-- A limit is told from that by what the cuts do. After eight of them that were not
-- followed by a return to the rate first refused, the share of refusals before and
-- after is compared with what a limit would have made of it: at a limit L a rate r is
-- refused 1 - L/r. If the share has come down by less than four tenths of the way, it is noise:
-- the rate goes back to where it was, and for a while only more than the noise counts.

local FLOOR, TTL = 0.05, 3600
local SPAN, SOON = 300, 1500 -- ms
local MANY = 8               -- cuts in a row, to 0.3 of the rate: more than a limit that was halved takes
local EPISODE, PAUSE = 150, 8000 -- calls, or ms, since the last cut that end a row of them
local ENOUGH, HITS = 20, 5   -- calls, and refusals among them, that a share is taken of
local FEW = 8                -- calls that tell a loud share
local WINDOW = 40            -- the same while there is noise
local LOUDEST = 0.25         -- share of refusals up to which noise is believed in
local NOISY = 60000          -- ms that noise is believed in

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000
local names = { 'rate', 'cut_at', 'blocked', 'at', 'calls', 'refusals', 'cuts', 'first', 'a_calls', 'a_refusals',
	'a_rate', 'b_calls', 'b_refusals', 'noise', 'noise_at', 'last' }
local values = redis.call('HMGET', KEYS[1], unpack(names))
local f = {}
for i, name in ipairs(names) do f[name] = tonumber(values[i]) or 0 end
if not values[1] then f.rate = tonumber(ARGV[3]) end
f.refusals = f.refusals + 1

local function store()
	local list = {}
	for _, name in ipairs(names) do
		if name ~= 'calls' and name ~= 'blocked' and name ~= 'at' then
			list[#list + 1] = name
			list[#list + 1] = f[name]
		end
	end
	redis.call('HSET', KEYS[1], unpack(list))
	redis.call('EXPIRE', KEYS[1], TTL)
	return 1
end

local function plateau(top, beta, grown)
	redis.call('HSET', KEYS[1], 'top', top, 'beta', beta, 'grown', grown, 'at', values[4] or now)
end

local function cut()
	local less, back = 0.9, 0.95
	if now - f.cut_at < SOON or f.cut_at == 0 then less, back = 0.85, 0.93 end
	plateau(f.rate * back, less / back, 0)
	f.rate = math.max(FLOOR, f.rate * less)
	f.cut_at = now
	f.cuts = f.cuts + 1
	f.last = f.calls
	if f.cuts == 1 then f.a_calls, f.a_refusals = f.calls, f.refusals end
	if f.cuts == MANY then f.a_rate, f.b_calls, f.b_refusals = 0.52 * f.first, f.calls, f.refusals end
end

local hold = tonumber(ARGV[2])
if hold > 0 then
	redis.call('HSET', KEYS[1], 'blocked', math.max(f.blocked, now + hold))
end
if tonumber(ARGV[1]) <= f.cut_at + SPAN then return store() end

if f.noise > 0 and now - f.noise_at < NOISY then
	local n = f.calls - f.b_calls
	if n < WINDOW then return store() end
	local share = (f.refusals - f.b_refusals) / n
	f.b_calls, f.b_refusals = f.calls, f.refusals
	if share <= 1.5 * f.noise + 0.03 then return store() end
	f.noise, f.cuts = 0, 0 -- more than the noise
end

-- A row of cuts begins, or begins anew: after a long time without a refusal, or when
-- the rate has come back to where it was refused, which is what a limit looks like.
if f.cuts == 0 or f.calls - f.last > EPISODE or now - f.cut_at > PAUSE or f.rate >= 0.95 * f.first then
	f.cuts, f.first = 0, f.rate
end
if f.cuts < MANY then
	cut()
	return store()
end
local n, k = f.calls - f.b_calls, f.refusals - f.b_refusals
local loud = n >= FEW and k >= LOUDEST * n
if not loud and (n < ENOUGH or k < HITS) then return store() end
local before = math.min(1, (f.b_refusals - f.a_refusals) / math.max(1, f.b_calls - f.a_calls))
local limit = math.max(0, 1 - (1 - before) * f.a_rate / f.rate)
local most = n * (limit + 0.6 * math.max(0, before - limit)) + math.sqrt(n * limit * (1 - limit)) -- and its chance
if not loud and k > most then
	f.noise, f.noise_at, f.rate, f.cuts = k / n, now, f.first, 0
	f.b_calls, f.b_refusals = f.calls, f.refusals
	plateau(f.first, 0.9, 6) -- at the plateau: it feels its way up from here
	return store()
end
f.a_rate, f.a_calls, f.a_refusals = f.rate, f.b_calls, f.b_refusals
f.b_calls, f.b_refusals = f.calls, f.refusals
cut()
return store()
