-- Lets a key stand for another conversation, if it still stands for the one that the caller knows.
--
-- KEYS: 1 name
-- ARGV: 1 the id it has, 2 the new id, 3 TTL in seconds
-- Reply: 1 moved, 0 left alone
--
-- Race: of two attempts that move a key, the first one wins, and the other one uses its conversation.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
