-- Return a token that was taken from a bucket: see rate_limit_take.lua.
-- KEYS: 1 bucket. ARGV: 1 time in which the bucket gains a token.
local full_at = redis.call('GET', KEYS[1])
if full_at then redis.call('SET', KEYS[1], string.format('%.0f', full_at - ARGV[1]), 'KEEPTTL') end
