-- Takes a poison message out of asynq's lists and notes why.
--
-- KEYS: 1 asynq's leases, 2 active, 3 task, 4 notes of the queue, 5 scheduled, 6 retry
-- ARGV: 1 id, 2 the message that was seen, '' = none, 3 note, 4 TTL in seconds, 5 most notes
-- Reply: 1 taken out, 0 the task has another message now
--
-- Invariant: a task that somebody has enqueued again meanwhile stays. It is pending, so only its old place among the
-- active tasks goes.

redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('LREM', KEYS[2], 0, ARGV[1])
local now = redis.pcall('HGET', KEYS[3], 'msg') -- fails if the key holds no hash
if type(now) ~= 'string' then now = '' end
if now ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[4])
if redis.call('HLEN', KEYS[4]) < tonumber(ARGV[5]) then redis.call('HSET', KEYS[4], ARGV[1], ARGV[3]) end
redis.call('EXPIRE', KEYS[4], ARGV[4])
return 1
