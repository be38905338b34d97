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
-- A piece is sent again if its reply was lost, by go-redis or by the worker. Then the last entry is not the one that the
-- attempt knows, but this piece. An attempt's first piece begins the answer anew if an earlier attempt has left some.

local record = redis.call('HMGET', KEYS[1], 'owner', 'status')
if record[1] ~= ARGV[1] or record[2] ~= 'running' then return '' end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local before = '0-0'

local function append(kind, text)
	local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'type', kind, 'text', text)
	redis.call('PUBLISH', KEYS[2], kind .. ' ' .. id .. ' ' .. before .. ' ' .. text)
	before = id
end

if last then
	local kind, text = last[2][2], last[2][4]
	before = last[1]
	if before ~= ARGV[6] and kind == ARGV[4] and text == ARGV[5] then return before end
	if ARGV[6] == '' and ARGV[4] ~= 'reset' and kind ~= 'reset' then append('reset', '') end
end
append(ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return before
