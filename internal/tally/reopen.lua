-- Opens rows that have ended: for their next attempt, or for the same one if someone ran an archived task by hand.
--
-- KEYS: 1 batch, 2 states, 3 asks, 4 rows
-- ARGV: 1 TTL in seconds of an open batch, then for each row its number, the attempt that has ended, the attempt that
--       the row has from now on, and the failure that is to be uncounted ('': none)
-- Reply: for each row 1 opened, 0 left alone; an empty list if the batch is gone
--
-- Invariant: a row that is open, or at another attempt, is left alone: a second call changes nothing.

if is_gone() then return {} end
local moved, any = {}, false
for i = 2, #ARGV, 4 do
	local row, old, new = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
	local from = state_of(row)
	if from == '' or not has_ended(from) or old ~= attempt_of(row) then
		moved[#moved + 1] = 0
	else
		move(row, from, 'q')
		if new ~= old then redis.call('SETRANGE', KEYS[3], row - 1, string.char(new - 1)) end
		if from == 'F' and ARGV[i + 3] ~= '' then add('failed:' .. ARGV[i + 3], -1) end
		any = true
		moved[#moved + 1] = 1
	end
end
if any then
	redis.call('HDEL', KEYS[1], 'ended_at', 'canceled_at', 'settled')
	expire_in(ARGV[1])
end
return moved
