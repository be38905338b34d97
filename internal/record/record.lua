-- Shared code of the scripts that write a task's record, put before each of them.
--
-- KEYS[1] is always the record, KEYS[2] the body and KEYS[3] the deltas. All keys of one task are in one slot of
-- Redis Cluster.

-- Replies of update.lua and finish.lua. attempt.go has the same numbers.
local GONE, FENCED = -1, 0

-- The terminal statuses, as Status.Terminal has them.
local ENDED = { completed = true, failed = true, canceled = true, expired = true }

-- refusal returns why an attempt may not write: GONE, FENCED, or nil if it may. A record that is gone may be made
-- again if remake is '1'.
local function refusal(record_owner, status, owner, remake)
	if not status then return remake ~= '1' and GONE or nil end
	return record_owner ~= owner and FENCED or nil
end

-- add_other_chat adds a chat to those that the record names beside its own, and returns them.
local function add_other_chat(chat)
	local id = '"' .. string.gsub(chat, '[^%w_.:-]', '') .. '"' -- as JSON writes it: finish.lua compares the list
	local all = redis.call('HGET', KEYS[1], 'other_chat_ids')
	if not all then
		all = '[' .. id .. ']'
	elseif not string.find(all, id, 1, true) then
		all = string.sub(all, 1, -2) .. ',' .. id .. ']'
	end
	redis.call('HSET', KEYS[1], 'other_chat_ids', all, 'possible_duplicate', 'true')
	return all
end

-- close ends everything that belongs to a task whose record has just ended, and tells the waiters.
local function close(ttl, keep_body, has_deltas, channel, message)
	redis.call('EXPIRE', KEYS[1], ttl)
	if keep_body then
		redis.call('EXPIRE', KEYS[2], ttl)
	else
		redis.call('UNLINK', KEYS[2])
	end
	if has_deltas then
		-- A key of another type must not stop the message.
		local last = redis.pcall('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
		local id = redis.pcall('XADD', KEYS[3], '*', 'type', 'end', 'text', '')
		redis.call('EXPIRE', KEYS[3], ttl)
		if type(id) == 'string' then
			redis.call('PUBLISH', KEYS[3], 'end ' .. id .. ' ' .. (last and last[1] or '0-0') .. ' ' .. message)
		end
	end
	redis.call('PUBLISH', channel, message)
end

