-- Appends a piece of an answer to the task's stream, for the owner of the record, and publishes it.
--
-- KEYS: 1 record, 2 deltas; the channel has the name of the stream
-- ARGV: 1 owner, 2 type, 3 text, 4 the id of the new entry, '*' for the first of an attempt, 5 the entry that this attempt
--       appended last, 6 TTL in seconds, 7 most entries
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
-- begins the answer anew if an earlier attempt has left some, and sets how long the stream is kept: the others come within
-- the attempt's time, which is far less.

local record = redis.call('HMGET', KEYS[1], 'owner', 'status')
if record[1] ~= ARGV[1] or record[2] ~= 'running' then return '' end

local kind, text, id, before = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if id ~= '*' then
	local made = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], id, 'type', kind, 'text', text)
	if made == id then
		redis.call('PUBLISH', KEYS[2], kind .. ' ' .. id .. ' ' .. before .. ' ' .. text)
	elseif not string.find(made.err, 'equal or smaller', 1, true) then -- else it is there
		error(made.err)
	end
	return id
end

local function append(kind, text)
	id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], '*', 'type', kind, 'text', text)
	redis.call('PUBLISH', KEYS[2], kind .. ' ' .. id .. ' ' .. before .. ' ' .. text)
	before = id
end

before = '0-0'
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if last then
	local last_kind, last_text = last[2][2], last[2][4]
	before = last[1]
	if last_kind == kind and last_text == text then return before end
	if kind ~= 'reset' and last_kind ~= 'reset' then append('reset', '') end
end
append(kind, text)
redis.call('EXPIRE', KEYS[2], ARGV[6])
return id
