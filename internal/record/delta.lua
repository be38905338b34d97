-- Appends a piece of an answer to the task's stream, for the owner of the record, and publishes it.
--
-- KEYS: 1 record, 2 deltas; the channel has the name of the stream
-- ARGV: 1 owner, 2 TTL in seconds, 3 most entries, 4 type, 5 text, 6 the entry that this attempt appended last, '' = none
-- Reply: the new entry's id, or '' if another attempt owns the task or it does not run
--
-- Invariant: a stream holds the pieces of one attempt at a time, and none after its end. An answer longer than the
-- bound loses its beginning, never its end.
--
-- The message names the entry before its own: who has heard that one has missed nothing, and who has not reads the
-- stream. Entry and message are one step.
--
-- A piece is sent again if its reply was lost, by go-redis or by the worker. It is known by its id then: an attempt numbers
-- its entries, so that nothing has to be read. Only its first piece gets an id from Redis, and is known by its text. It
-- begins the answer anew if an earlier attempt has left some.

local record = redis.call('HMGET', KEYS[1], 'owner', 'status')
if record[1] ~= ARGV[1] or record[2] ~= 'running' then return '' end

local function append(id, before, kind, text)
	local made = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], id, 'type', kind, 'text', text)
	if type(made) ~= 'string' then
		if id ~= '*' and string.find(made.err, 'equal or smaller', 1, true) then return id end -- it is there
		error(made.err)
	end
	redis.call('PUBLISH', KEYS[2], kind .. ' ' .. made .. ' ' .. before .. ' ' .. text)
	return made
end

local before, id = ARGV[6], '*'
if before ~= '' then
	local ms, n = string.match(before, '^(%d+)-(%d+)$')
	id = ms .. '-' .. string.format('%.0f', n + 1)
else
	before = '0-0'
	local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
	if last then
		local kind, text = last[2][2], last[2][4]
		before = last[1]
		if kind == ARGV[4] and text == ARGV[5] then return before end
		if ARGV[4] ~= 'reset' and kind ~= 'reset' then before = append('*', before, 'reset', '') end
	end
end
id = append(id, before, ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return id
