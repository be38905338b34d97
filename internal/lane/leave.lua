-- Removes a turn from its lane.
--
-- KEYS: 1 lane, 2 last chat of the lane
-- ARGV: 1 member, 2 its chat ('': keep the last one), 3 TTL of the last chat in seconds
-- Reply: the member that must be made pending now, '' if none
--
-- The successor of a head that left must run. A turn that left from the middle changes nothing for the others.
--
-- Race: a worker removes the head and dies before it runs the successor. asynq hands the same task out again, and the
-- second call does not find the member. It therefore replies with the head, too. Running a head twice does no harm.

local rank = redis.call('ZRANK', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3]) end
if rank and rank > 0 then return '' end
return redis.call('ZRANGE', KEYS[1], 0, 0)[1] or ''
