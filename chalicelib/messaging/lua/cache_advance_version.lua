-- Shared by scripts that write to a conversation's recent-message cache: its version changes with every write. The
-- epoch contains the time, because two scripts of one writer have the same nonce, and Redis may lose all data in between.
local function advance_version(nonce)
    redis.call('HSETNX', KEYS[1], 'epoch', nonce .. '-' .. table.concat(redis.call('TIME')))
    redis.call('HINCRBY', KEYS[1], 'revision', 1)
    redis.call('EXPIRE', KEYS[1], TTL_SECONDS)
end
