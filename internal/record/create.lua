-- Writes the record of a new task.
--
-- KEYS: 1 record, 2 body
-- ARGV: 1 TTL in seconds, 2 body ('' = none), then names and values of the record's fields
-- Reply: '', or the status of the record that was there already. Nothing is changed then.
--
-- Invariant: an existing record is never overwritten. A producer that repeats a call whose reply it lost finds its
-- own record, and one that repeats it late finds the answer.

local status = redis.call('HGET', KEYS[1], 'status')
if status then return status end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[1]) end
return ''
