-- Shared by scripts that write to a conversation's recent-message cache: its version changes with every write.
local function advance_version(nonce)
    redis.call('HSETNX', KEYS[1], 'epoch', nonce)
    redis.call('HINCRBY', KEYS[1], 'revision', 1)
    redis.call('EXPIRE', KEYS[1], TTL_SECONDS)
end
