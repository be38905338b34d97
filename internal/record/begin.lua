-- Hands a task's record to a new owner.
--
-- KEYS: 1 record, 2 body
-- ARGV: 1 owner, 2 now, 3 TTL in seconds, 4 '1' to read the body, then names and values of the seed's fields, or none
-- Reply: { HGETALL of the record, body, ms since fenced_at }, or { HGETALL } for a task that has ended, or {}: the record
--        needs the seed, and nothing was done
--
-- Invariant: one owner at a time, and no owner after the end. The test for the end and the change of owner are one
-- step. Between two steps the old owner could end the task, and the new one would ask again.
--
-- A record that is gone (Redis was flushed, or failed over to a replica that lagged) is made again from the seed: the
-- queue's payload is enough to continue. Such a record keeps the mark "made" while it is open, not only for the
-- attempt that made it:
--
--  1. A worker writes the answer and shuts down. asynq puts its task back.
--  2. The waiter reads the answer and deletes the record.
--  3. Another worker takes the task up and makes a record. It dies before it finds out that the task is over.
--  4. The next worker finds an open record. Without the mark it would ask again.
--
-- fenced_at is the moment, by this Redis' clock, at which the attempt that wrote asked_at lost the record. The first
-- owner after it sets it, later owners keep it. It says how long no byte of the old question can have been sent.
-- Without it each attempt would wait that time from its own start, and workers that live for less would never finish
-- the wait. Asking again removes it together with the old note.

local record = redis.call('HMGET', KEYS[1], 'status', 'id', 'started_at', 'error_msg', 'asked_at', 'fenced_at', 'error_class')
local status, id = record[1], record[2]
if ENDED[status] then return { redis.call('HGETALL', KEYS[1]) } end
if not id and #ARGV == 4 then return {} end
if not status then redis.call('HSET', KEYS[1], 'made', 1) end
if not id then -- the record is empty, or holds only what an older attempt has noted since
	for i = 5, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
local fenced_for = 0
if record[5] then
	local time = redis.call('TIME')
	local ms = time[1] * 1000 + math.floor(time[2] / 1000)
	fenced_for = ms - (tonumber(record[6]) or ms)
	redis.call('HSETNX', KEYS[1], 'fenced_at', ms)
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'status', 'running', 'started_at', record[3] or ARGV[2])
-- logid stays: it belongs to the last ask, which is looked up
if record[4] or record[7] then redis.call('HDEL', KEYS[1], 'error_code', 'error_class', 'error_msg', 'error_hint') end
redis.call('EXPIRE', KEYS[1], ARGV[3])
local body = ''
if ARGV[4] == '1' then
	body = redis.pcall('GET', KEYS[2]) -- a key of another type counts as none
	if type(body) ~= 'string' then body = '' end
	redis.call('EXPIRE', KEYS[2], ARGV[3])
end
return { redis.call('HGETALL', KEYS[1]), body, fenced_for }
