-- Keeps a chunk of a file that is being uploaded.
--
-- KEYS: 1 chunks
-- ARGV: 1 the chunk's number, from 0, 2 its content, 3 TTL in seconds
-- Reply: 1 kept
--
-- Invariant: chunks always have a time to live. A process that dies after any call leaves nothing for good.

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
