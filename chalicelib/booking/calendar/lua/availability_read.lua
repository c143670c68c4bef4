-- Return for each key its version ('' if there is none) and its bitmap ('' if it cannot be trusted).
-- A bitmap is trusted if this server wrote it and it was read from MySQL less than TRUST_SECONDS ago.
-- KEYS: the schedules' entries.
local now, reply = tonumber(redis.call('TIME')[1]), {}
for _, key in ipairs(KEYS) do
    local entry = redis.call('HMGET', key, 'version', 'server', 'verified_at', 'bitmap')
    local trusted = entry[2] == server and now - tonumber(entry[3]) < TRUST_SECONDS
    table.insert(reply, entry[1] or '')
    table.insert(reply, trusted and entry[4] or '')
end
return reply
