-- Starts a limit at a rate that is known before anything was refused: from the account's plan, or from an earlier run.
--
-- KEYS: 1 the limit
-- ARGV: 1 calls a second
-- Reply: 1 set, 0 a rate is known already, or the present one is higher
--
-- Invariant: the first rate that is known stays, whether it comes from a refusal or from here. Two processes may bring one
-- at the same time.
--
-- The rate is a plateau: it jumps there and rises slowly. A rate that doubles would be past the limit within a second.

local rate, limit = tonumber(ARGV[1]), load(KEYS[1], HOT)
if limit.top > 0 or limit.rate >= rate then return 0 end
limit.rate, limit.top, limit.beta, limit.grown = rate, rate, 0.9, K
save(KEYS[1], limit, HOT)
return 1
