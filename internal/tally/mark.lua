-- Moves rows to the states of their marks.
--
-- KEYS: 1 batch, 2 states, 3 asks, 4 rows
-- ARGV: 1 now, then for each mark its row, attempt, letter, failure, tokens, output tokens, input tokens
-- Reply: for each mark 1 moved, 0 left alone; an empty list if the batch is gone
--
-- Race: marks come late, twice and in any order. The end of an attempt is final, and its tokens are added once. A mark of
-- another attempt than the row's current one changes nothing, and neither does "queued". Between states that are no
-- ends the last mark wins, which may be the older one for a moment.
--
-- The end of the last row is the end of the batch: from then on its keys expire.

if is_gone() then return {} end
local moved, ended = {}, false
for i = 2, #ARGV, 7 do
	local row, to = tonumber(ARGV[i]), ARGV[i + 2]
	local from = state_of(row)
	if from == '' or has_ended(from) or from == to or to == 'q' or tonumber(ARGV[i + 1]) ~= attempt_of(row) then
		moved[#moved + 1] = 0
	else
		move(row, from, to)
		if has_ended(to) then
			ended = true
			add('tokens', ARGV[i + 4])
			add('output_tokens', ARGV[i + 5])
			add('input_tokens', ARGV[i + 6])
			if to == 'F' then add('failed:' .. ARGV[i + 3], 1) end
		end
		moved[#moved + 1] = 1
	end
end
if ended and open_rows() == 0 then
	redis.call('HSET', KEYS[1], 'ended_at', ARGV[1])
	expire_in(redis.call('HGET', KEYS[1], 'keep'))
end
return moved
