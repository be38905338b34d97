-- Cuts a limit after a call was refused for its rate, unless the refusal has nothing to do with the rate.
--
-- KEYS: 1 the limit
-- ARGV: 1 when the call's permit was given (us, the "now" of limit.lua), 2 for how long the server wants no call (ms,
--       0 = it did not say), 3 the account's rate: a bot's limit of which nothing is known starts with it
-- Reply: 1
--
-- Permits that were given before the last cut, or within SPAN after it, say nothing. They were too many by a rate that has
-- been cut since, or met a server that had used up its own allowance at that moment. A single refusal a while after the
-- last cut comes from a rate that rises to the limit, which is a little lower than the refused rate, as servers let a burst
-- pass first: 10 % less, and back to 5 % less. A refusal soon after a cut says that the limit is far below: 15 % less, and
-- again. The last of these cuts may be met just above the limit, and is then too deep. With 20 %, and back to 10 % less, the
-- next 6 s used 87 % of the limit. So it is back to 7 % less, which makes that 91 %.
--
-- Not every refusal is about the rate. An overloaded model refuses a share of the calls however slowly they come, and cuts
-- for that end in a standstill. So a row of ROW cuts without a return to its first rate ends in a trial. The calls are
-- counted over two windows: the base, from the first cut to the last of the row, and the window since. Where the window has
-- at most 1/1.6 of the base's calls a second:
--   noise   refuses the same share of them,
--   a limit lets through as many calls a second as before, and refuses the rest.
-- The trial decides for the one that is nearer to what was refused. If it is noise, the rate climbs back to where the row
-- began, and for NOISY only more than that share counts as a refusal; then half the rate is tried again. If it is a limit,
-- the rate falls to what was let through. Calls are counted, not derived from the rate, as callers may be slower. Where the
-- two differ by less than chance, half as many calls are tried, down to a quarter. Where that does not decide it either, it
-- is a limit.
--
-- Race: the script is atomic. Between two of its runs come limit.lua, which only adds calls, tickets and growth, and other
-- refusals. Many refusals come at once, of permits that were out together: the first cuts, the others are older than
-- cut_at. Refusals come late, by the time that Coze takes. So one of a permit older than the window belongs to the window
-- before and is taken out of this one. Of the youngest calls no answer is known yet, so the window ends with the permit of
-- the call that was refused, not now. A refusal that never arrives, because its worker died, makes the share too small by
-- one.

local SPAN, SOON = 300, 1500    -- ms
local ROW = 8                   -- cuts in a row, to 0.3 of the rate: more than a limit that was halved takes
local QUIET = 8000              -- ms without a refusal that end a row: a rising rate meets the limit every 12 s
local CALLS, HITS, TAKEN = 40, 3, 5 -- the fewest calls, refused and taken ones of a window that decides
local MANY = 100                -- calls: a window that decides, or never will
local NOISY = 60000             -- ms that noise is believed in

local COLD = { 'refusals', 'refused_at', 'cut_at', 'cuts', 'row_rate', 'window_at', 'window_calls', 'window_refusals',
	'base_ms', 'base_calls', 'base_refusals', 'noise_at', 'noise_calls', 'noise_refusals' }

local hot, cold = load(KEYS[1], HOT), load(KEYS[1], COLD)
if hot.rate == 0 then hot.rate = tonumber(ARGV[3]) end
local given, hold = ARGV[1] / 1000, tonumber(ARGV[2])
cold.refusals = cold.refusals + 1
if given <= cold.window_at then cold.window_refusals = cold.window_refusals + 1 end

local function done()
	save(KEYS[1], hot, HOT)
	save(KEYS[1], cold, COLD)
	return 1
end

local function open_window()
	cold.window_at, cold.window_calls, cold.window_refusals = now, hot.calls, cold.refusals
end

local function set_base(ms, calls, refusals)
	cold.base_ms, cold.base_calls, cold.base_refusals = ms, calls, refusals
end

-- cut sets the rate, and the curve back to top.
local function cut(rate, top)
	hot.rate, hot.top, hot.beta, hot.grown = math.max(FLOOR, rate), top, rate / top, 0
	cold.cut_at, cold.cuts = now, cold.cuts + 1
	open_window()
end

if hold > 0 then hot.blocked = math.max(hot.blocked, now + hold) end
if given <= math.max(cold.cut_at + SPAN, cold.window_at) then return done() end
local quiet = now - cold.refused_at > QUIET
cold.refused_at = now

local ms = given - cold.window_at
local n = (hot.calls - cold.window_calls) * ms / math.max(1, now - cold.window_at)
local k = cold.refusals - cold.window_refusals

-- halve tries half as many calls a second as the window has.
local function halve()
	local rate = math.min(0.85 * hot.rate, 500 * n / ms)
	cut(rate, rate / 0.9)
	return done()
end

-- trial answers the question above, as far as the window tells.
local function trial()
	if n < CALLS or k < HITS then return done() end
	if n - k < 2 then -- nothing gets through: an outage. A quarter of the rate until something does.
		hot.rate = math.min(hot.rate, cold.row_rate / 4)
		hot.top, hot.beta, hot.grown = cold.row_rate, hot.rate / cold.row_rate, 0
		if n > MANY then open_window() end
		return done()
	end
	if n - k < TAKEN then return done() end
	local base_taken = cold.base_calls - cold.base_refusals
	local slower = cold.base_calls / cold.base_ms * ms / n
	local by_noise = n * cold.base_refusals / cold.base_calls
	local by_limit = math.max(0, n - base_taken * ms / cold.base_ms)
	local chance = math.sqrt(by_limit * (1 - by_limit / n) + base_taken * (ms / cold.base_ms) ^ 2)
	local unclear = by_limit > 0 and by_noise - by_limit < 3 * chance
	if slower < 1.6 or base_taken < TAKEN or not unclear and k > by_noise + 3 * math.sqrt(by_noise) then
		set_base(ms, n, k) -- the base says nothing, or is too old: more is refused although less is asked
		return halve()
	end
	if unclear and slower < 4 then return halve() end
	if unclear and n < MANY then return done() end
	if not unclear and k > by_limit + 0.6 * (by_noise - by_limit) then
		cold.noise_at, cold.noise_calls, cold.noise_refusals, cold.cuts = now, n, k, 0
		hot.top, hot.beta, hot.grown = cold.row_rate, hot.rate / cold.row_rate, 0
		open_window()
		return done()
	end
	set_base(ms, n, k)
	local rate = math.max(hot.rate / 4, math.min(0.85 * hot.rate, 950 * (n - k) / ms))
	cut(rate, rate / 0.9)
	return done()
end

local over = cold.cuts == 0 or quiet or hot.rate >= 0.95 * cold.row_rate
if cold.cuts >= ROW and not over then return trial() end

-- While noise is believed in: no more than it makes, as far as its own share is known.
local noise = cold.noise_refusals / math.max(1, cold.noise_calls)
local chance = math.sqrt(noise * (1 - noise) * n * (1 + n / math.max(1, cold.noise_calls)))
if noise > 0 and k <= n * noise + 2.5 * chance + 2 then
	if n < MANY or k < 2 * HITS or n - k < 4 * TAKEN then return done() end
	if now - cold.noise_at < NOISY then
		open_window()
		return done()
	end
	cold.noise_refusals, cold.cuts, cold.row_rate = 0, ROW, hot.rate
	set_base(ms, n, k)
	return halve()
end

if over then
	cold.cuts, cold.row_rate = 0, hot.rate
	set_base(0, 0, 0)
else
	set_base(cold.base_ms + ms, cold.base_calls + n, cold.base_refusals + k)
end
if now - cold.cut_at < SOON or cold.cut_at == 0 then
	cut(0.85 * hot.rate, 0.93 * hot.rate)
else
	cut(0.9 * hot.rate, 0.95 * hot.rate)
end
return done()
