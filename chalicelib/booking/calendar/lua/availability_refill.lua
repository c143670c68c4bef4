-- Store bitmaps that were read from MySQL, except where a reservation or cancellation has changed the version since.
-- KEYS: the schedules' entries. ARGV: for each key the version that was seen before MySQL was read, and the bitmap.
local now = redis.call('TIME')[1]
for i, key in ipairs(KEYS) do
    if (redis.call('HGET', key, 'version') or '') == ARGV[2 * i - 1] then
        redis.call('HSET', key, 'server', server, 'verified_at', now, 'bitmap', ARGV[2 * i])
        redis.call('EXPIRE', key, TTL_SECONDS)
    end
end
