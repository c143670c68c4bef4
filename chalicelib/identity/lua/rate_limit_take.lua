-- Take a token from a bucket, which is stored as the time at which it will be full. Return 0, or the time after which the
-- bucket has a token. All times are in microseconds.
-- KEYS: 1 bucket. ARGV: 1 now, 2 time in which the bucket gains a token, 3 tokens in a full bucket.
local now, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + interval
local wait = full_at - now - ARGV[3] * interval
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
