-- A limit's rate is known before anything was refused: by the account's plan, or from an earlier run.
--
-- KEYS: 1 the limit
-- ARGV: 1 calls a second
--
-- It is a plateau: the rate jumps there and feels its way up, where a rate that doubles
-- would be past the limit within a second. What was refused, or known before, knows
-- better: of two processes that bring a rate, and of this and a first refusal, the
-- first sets top and stays.

local rate, limit = tonumber(ARGV[1]), load(KEYS[1], { 'rate', 'top' })
if limit.top > 0 or limit.rate >= rate then return 0 end
save(KEYS[1], { rate = rate, top = rate, beta = 0.9, grown = K }, { 'rate', 'top', 'beta', 'grown' })
return 1
