-- Appends a piece of an answer to the task's stream, for the owner of the record.
--
-- KEYS: 1 record, 2 deltas
-- ARGV: 1 owner, 2 TTL in seconds, 3 most entries, 4 type, 5 text
-- Reply: 1 appended, 0 another attempt owns the task, or it does not run
--
-- Invariant: a stream holds the pieces of one attempt at a time, and none after its end. An answer longer than the
-- bound loses its beginning, never its end.

local record = redis.call('HMGET', KEYS[1], 'owner', 'status')
if record[1] ~= ARGV[1] or record[2] ~= 'running' then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'type', ARGV[4], 'text', ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
