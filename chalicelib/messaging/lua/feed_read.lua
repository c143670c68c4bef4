-- Return the events after a cursor: generation, counter of the newest event, counter after which to continue, gap, then
-- counter and event of each. gap: 'none'; 'lost' if events after the cursor are no longer there; 'unknown' if no cursor
-- was given and the token has no saved position.
-- KEYS: 3 saved position of the token. ARGV: 2 generation and 3 counter of the cursor ('' for the saved position),
-- 4 limit.
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
local reply = {head[2], newest, after, gap}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], (after + 1) .. '-0', '+', 'COUNT', ARGV[4])) do
    table.insert(reply, string.match(entry[1], '^(%d+)'))
    table.insert(reply, entry[2][2])
end
return reply
