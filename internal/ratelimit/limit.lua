-- Gives one permit for one call to Coze, of one credential and for one bot.
--
-- KEYS: 1 the account's limit, 2 the bot's limit, 3 the account's pause, 4 the bot's pause
-- ARGV: 1 "chat" or "poll", 2 the account's highest rate (calls a second, 0 = none),
--       3 ticket at the bot, 4 ticket at the account (0 = none yet), 5 longest wait in place (ms),
--       6 how many more permits the caller's process would take along
-- Reply: { verdict, ms, ticket at the bot, ticket at the account, rate * 1000, now (us), class of the pause, permits more }
--   "go"      the call may be made after so many ms, mostly 0
--   "probe"   the same, and the call shows whether the pause is over
--   "wait"    ask again with these tickets after so many ms
--   "far"     no ticket was drawn: come back after so many ms
--   "paused"  by the account's pause; "bot" by the bot's; ms to the next probe
--
-- Invariant: all processes together make no more calls than the rate, and one probe at a time tests a pause.
--
-- A limit hands out numbered places in a queue, its tickets: a caller takes the next number (issued) and a token. Tokens come
-- at the rate, and there are less than none while callers wait: the numbers up to issued + tokens may call. So a change of the
-- rate acts at once on all callers that wait; promised times would not. The ticket of a caller that died is served like the
-- others.
--
-- The rate follows CUBIC (RFC 9438), which settles just under a limit that is not known. After a refusal the rate is cut a
-- little, comes back fast to just below where it was refused, stays there, and only then rises, ever faster. It rises only
-- while a caller waits: an idle limit learns nothing.

local DOUBLE = 1  -- s to double the rate before the first refusal
local SHORT = 100 -- ms: after so short a wait the caller need not ask again

-- step brings a limit to now. Its first rate is the highest, where there is one: an operator sets that to what the account
-- allows.
local function step(b, highest)
	if b.rate == 0 then b.rate = highest > 0 and highest or START end
	local from = math.max(b.at, b.blocked)
	local dt = math.max(0, now - from) / 1000
	b.at = math.max(b.at, now)
	if b.tokens < 0 then
		local grow = math.min(dt, 1)
		if b.top == 0 then
			b.rate = b.rate * 2 ^ (grow / DOUBLE)
		else
			b.grown = b.grown + grow
			b.rate = b.top * (1 + (1 - b.beta) * (b.grown / K - 1) ^ 3)
		end
	end
	b.rate = math.max(b.rate, FLOOR)
	if highest > 0 and b.rate > highest then b.rate = highest end
	-- An idle limit saves up a twentieth of a second, one call at the least. Without that the first caller would wait,
	-- and a late one would be lost.
	b.tokens = math.min(b.tokens + b.rate * dt, math.max(1, b.rate / 20))
	b.deferred = math.max(0, b.deferred - b.rate * dt)
end

-- pass returns how many ms to wait with the ticket, 0 = it is good, or nil and the
-- ms to stay away where that is too far.
local function pass(b, ticket, near)
	local blocked = math.max(0, b.blocked - now)
	if ticket == 0 then
		local wait = blocked + (1 - b.tokens) / b.rate * 1000
		if wait > near and b.top > 0 then -- before the first refusal the rate says nothing of the limit
			b.deferred = b.deferred + 1
			return nil, 0, wait + b.deferred / b.rate * 1000
		end
		b.issued, b.tokens = b.issued + 1, b.tokens - 1
		ticket = b.issued
	end
	local ahead = ticket - b.issued - b.tokens
	if ahead <= 0 then return 0, ticket end
	return blocked + ahead / b.rate * 1000, ticket
end

local function paused(key)
	local next_probe = tonumber(redis.call('HGET', key, 'next_probe'))
	if not next_probe then return nil end
	if now < next_probe then return next_probe - now end
	local interval = tonumber(redis.call('HGET', key, 'interval'))
	local most = tonumber(redis.call('HGET', key, 'probe_most')) or 600000 -- ms; of an older version's pause there is none
	redis.call('HSET', key, 'next_probe', now + interval, 'interval', math.min(2 * interval, most))
	return 0
end

local near = tonumber(ARGV[5])
local bot_ticket, ticket = tonumber(ARGV[3]), tonumber(ARGV[4])
local spares = 0
local function answer(verdict, ms, rate)
	return { verdict, math.ceil(ms), bot_ticket, ticket, 1000 * (rate or 0), us, '', spares }
end

local function stay_out(verdict, key, ms)
	local a = answer(verdict, ms)
	a[7] = redis.call('HGET', key, 'class') or ''
	return a
end

-- Mostly there is neither a limit of the bot nor a pause: that is one command to find out.
local more = redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) > 0

-- A caller that waits for a permit already learns of a pause, too.
local probe = false
if more and ARGV[1] == 'chat' then
	local wait = paused(KEYS[3])
	if wait and wait > 0 then return stay_out('paused', KEYS[3], wait) end
	local bot_wait = paused(KEYS[4])
	if bot_wait and bot_wait > 0 then return stay_out('bot', KEYS[4], bot_wait) end
	probe = wait == 0 or bot_wait == 0
end

-- The bot first: a ticket of the account must not lie idle while the bot is slow.
if more and bot_ticket >= 0 and redis.call('EXISTS', KEYS[2]) == 1 then
	local b = load(KEYS[2], HOT)
	step(b, 0)
	local wait, drawn, stay = pass(b, bot_ticket, near)
	if wait == 0 or probe then b.calls = b.calls + 1 end
	save(KEYS[2], b, HOT)
	if not wait then
		if not probe then return answer('far', stay, b.rate) end
	else
		bot_ticket = drawn
		if wait > 0 and not probe then return answer('wait', wait, b.rate) end
	end
end
bot_ticket = -1 -- served: the next call need not look

local a = load(KEYS[1], HOT)
step(a, tonumber(ARGV[2]))
local wait, drawn, stay = pass(a, ticket, near)
local go = probe or wait and wait <= SHORT
if go then a.calls = a.calls + 1 end
-- What is saved up, nobody waits for. None of it while there is a pause or a limit of the bot: each call must look at those.
if go and not more and a.tokens >= 1 then
	spares = math.min(tonumber(ARGV[6]), math.floor(a.tokens))
	a.issued, a.tokens, a.calls = a.issued + spares, a.tokens - spares, a.calls + spares
end
save(KEYS[1], a, HOT)
if probe then return answer('probe', 0, a.rate) end
if not wait then return answer('far', stay, a.rate) end
ticket = drawn
if not go then return answer('wait', wait, a.rate) end
return answer('go', wait, a.rate)
