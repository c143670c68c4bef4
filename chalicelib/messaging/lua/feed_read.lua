-- Return the events after a cursor, and register a listener that is going to wait because there are none: generation,
-- counter of the newest event, counter after which to continue, gap, newest change of the principal's sessions ('' for
-- none), milliseconds after which to try again because too many listeners wait (0 if not), then counter and event of
-- each. gap: 'none'; 'lost' if events after the cursor are no longer there; 'unknown' if no cursor was given and the
-- token has no saved position.
-- KEYS: 3 saved position of the token, 4 changes of the principal's sessions (stream), 5 waiting listeners of the
-- principal (sorted set of names by the millisecond at which each is gone). ARGV: 2 generation and 3 counter of the
-- cursor ('' for the saved position), 4 limit, 5 name of the listener ('' if it does not wait), 6 milliseconds for which
-- it is going to wait, 7 '1' if it does not wait after the gap 'unknown'.
local generation, after, gap = ARGV[2], ARGV[3], 'none'
if generation == '' then
    local saved = redis.call('GET', KEYS[3])
    if saved then generation, after = string.match(saved, '^(%w+)%.(%d+)$')
    else generation, after, gap = head[2], head[3], 'unknown' end
end
redis.call('EXPIRE', KEYS[1], TTL_SECONDS)
local newest = tonumber(head[3])
after = tonumber(after)
if generation ~= head[2] or after > newest or after < newest - redis.call('XLEN', KEYS[2]) then
    after, gap = newest, 'lost'
end
local entries = redis.call('XRANGE', KEYS[2], (after + 1) .. '-0', '+', 'COUNT', ARGV[4])
local change = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)[1]
local retry_after = 0
if ARGV[5] ~= '' then
    local waits = #entries == 0 and (gap == 'none' or (gap == 'unknown' and ARGV[7] ~= '1')) and tonumber(ARGV[6]) > 0
    if not waits then
        redis.call('ZREM', KEYS[5], ARGV[5])
    else
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now)
        if redis.call('ZCARD', KEYS[5]) >= MAX_LISTENERS and not redis.call('ZSCORE', KEYS[5], ARGV[5]) then
            retry_after = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')[2] - now
        else
            redis.call('ZADD', KEYS[5], now + ARGV[6] + LISTENER_GRACE_MS, ARGV[5])
            redis.call('EXPIRE', KEYS[5], LISTENERS_TTL_SECONDS)
        end
    end
end
local reply = {head[2], newest, after, gap, change and change[1] or '', retry_after}
for _, entry in ipairs(entries) do
    table.insert(reply, string.match(entry[1], '^(%d+)'))
    table.insert(reply, entry[2][2])
end
return reply
