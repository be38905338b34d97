-- Admits a task or a batch of a tenant, within its rate and its most in flight.
--
-- KEYS: 1 rate, 2 open (member to the moment of its admission, ms), 3 rows (open rows of each batch's member)
-- ARGV: 1 member, 2 questions in it, 3 '1' for a batch, 4 ms that a question takes up at the rate (0: no bound), 5 ms of
--       the rate's unit, 6 most in flight (0: no bound), 7 TTL of open and rows in seconds
-- Reply: { 'ok' }, { 'rate', ms to wait } or { 'full', in flight }
--
-- The rate is GCRA: one moment says until when the tenant has used up its rate. It may be at most one unit ahead, so a
-- unit's questions may come at once. More than that, which only a batch has, come when nothing is used up, and then hold
-- the next ones up until they are made good.
--
-- Invariant: a member that is there takes nothing, so a call whose reply was lost can be repeated. A batch that comes again
-- with more open rows than it has left takes the difference.

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000
local n, takes, unit, most = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

if most > 0 and redis.call('ZSCORE', KEYS[2], ARGV[1]) then
	n = n - (tonumber(redis.call('HGET', KEYS[3], ARGV[1])) or 1)
	if n <= 0 then return { 'ok' } end
end

if most > 0 then
	local open = redis.call('ZCARD', KEYS[2]) - redis.call('HLEN', KEYS[3])
	for _, rows in ipairs(redis.call('HVALS', KEYS[3])) do open = open + tonumber(rows) end
	if open + n > most then return { 'full', string.format('%.0f', open) } end
end

if takes > 0 then
	local used = math.max(now, tonumber(redis.call('GET', KEYS[1])) or 0)
	local after = used + n * takes
	local wait = n * takes > unit and used - now or after - unit - now
	if wait > 0.001 then return { 'rate', string.format('%.0f', math.ceil(wait)) } end
	redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', string.format('%.0f', math.ceil(after - now)))
end

if most > 0 then
	redis.call('ZADD', KEYS[2], string.format('%.3f', now), ARGV[1])
	if ARGV[3] == '1' then
		redis.call('HINCRBY', KEYS[3], ARGV[1], n)
		redis.call('EXPIRE', KEYS[3], ARGV[7])
	end
	redis.call('EXPIRE', KEYS[2], ARGV[7])
end
return { 'ok' }
