-- Return an entry's text if this server wrote it, else nil.
-- KEYS: 1 entry.
local entry = redis.call('GET', KEYS[1])
if entry and string.sub(entry, 1, #server) == server then return string.sub(entry, #server + 1) end
