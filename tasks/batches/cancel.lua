-- Notes that a batch is canceled, if a row of it is open.
--
-- KEYS: 1 batch
-- ARGV: 1 now
-- Reply: 1 there is a batch, 0 there is none
--
-- Race: the note comes before the rows are canceled. A process that adds rows sees it in added.lua or submitted.lua, and
-- cancels what it has just added.

if redis.call('HEXISTS', KEYS[1], 'rows') == 0 then return 0 end
if open_rows() > 0 then redis.call('HSETNX', KEYS[1], 'canceled_at', ARGV[1]) end
return 1
