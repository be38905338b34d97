-- Shared code of the scripts that move rows from one state to another, put behind batch.lua.
--
-- Invariant: a letter and the two counters move together, so the counts add up to the rows whenever one looks.

local function has_ended(letter) return letter ~= string.lower(letter) end

local function add(name, n)
	n = tonumber(n)
	if n ~= 0 then redis.call('HINCRBY', KEYS[1], name, n) end
end

-- state_of is the letter of a row, '' if the batch has no such row.
local function state_of(row)
	if row < 1 then return '' end
	return redis.call('GETRANGE', KEYS[2], row - 1, row - 1)
end

-- attempt_of is the number of the row's current attempt, from 1.
local function attempt_of(row)
	local again = redis.call('GETRANGE', KEYS[3], row - 1, row - 1)
	if again == '' then return 1 end
	return string.byte(again) + 1
end

local function move(row, from, to)
	redis.call('SETRANGE', KEYS[2], row - 1, to)
	add(NAMES[from], -1)
	add(NAMES[to], 1)
end
