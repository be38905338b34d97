-- Makes an uploaded file visible, if all of its chunks are there.
--
-- KEYS: 1 file, 2 chunks
-- ARGV: 1 number of chunks, 2 TTL in seconds, then names and values of the file's hash
-- Reply: 1 it is visible, 0 chunks are gone
--
-- Invariant: a second call, after a reply that was lost, changes nothing. Both keys get their time to live in one step, so a file
-- never outlives its content by more than a second.

if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
