-- Sets the conversation of a key, unless it has one.
--
-- KEYS: 1 name
-- ARGV: 1 conversation id, 2 TTL in seconds
-- Reply: the id that holds
--
-- Race: two workers create a conversation for one key at the same time. The first id wins, and both learn it.

if redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2], 'NX') then return ARGV[1] end
return redis.call('GET', KEYS[1])
