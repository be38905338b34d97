-- Shared code of the scripts of a batch, put before each of them.
--
-- KEYS: 1 batch, 2 states, 3 asks, 4 rows. All are in one slot of Redis Cluster. See package batches.

-- The states by the letters of the states string, as Letters in tally.go has them. Upper case: the row has ended.
local NAMES = { q = 'queued', w = 'waiting', r = 'running', C = 'completed', F = 'failed', X = 'canceled', E = 'expired' }

-- is_gone says that the batch is not there, or only half of it. Half a batch, made again by a late mark, would count
-- wrong and never end. So what is gone stays gone.
local function is_gone() return redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 end

local function is_canceled() return redis.call('HEXISTS', KEYS[1], 'canceled_at') == 1 end

-- open_rows counts the rows that have not ended.
local function open_rows()
	local counts = redis.call('HMGET', KEYS[1], 'queued', 'waiting', 'running')
	return tonumber(counts[1] or 0) + tonumber(counts[2] or 0) + tonumber(counts[3] or 0)
end

-- expire_in gives all keys of the batch this time to live, in seconds.
local function expire_in(ttl)
	for i = 1, 4 do redis.call('EXPIRE', KEYS[i], ttl) end
end
