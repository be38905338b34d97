-- Puts tasks back into their tenants' lists that Redis has lost, or the ring.
--
-- KEYS: 1 ring, 2 scheduled
-- ARGV: 1 the prefix of a task's key, then ids
-- Reply: how many were put back
--
-- Race: a task that has left meanwhile is left alone. One that is in its list already, as another process did the same, is there
-- twice then: the second time it is passed over.

local back = 0
for i = 2, #ARGV do
	local id = ARGV[i]
	local tenant = redis.call('HGET', ARGV[1] .. id, 'tenant')
	if tenant and filed(KEYS[2], id) then
		local list = KEYS[1] .. ':' .. tenant
		redis.call('RPUSH', list, id)
		redis.call('LREM', KEYS[1], 0, tenant)
		take_part(KEYS[1], tenant)
		back = back + 1
	end
end
return back
