-- Forgets the conversation of a key, if it still is the one that the caller knows.
--
-- KEYS: 1 name
-- ARGV: 1 the id it has
-- Reply: 1 forgotten, 0 left alone
--
-- Race: another attempt may have given the key a new conversation, which stays.

if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
