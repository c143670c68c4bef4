-- Shared by scripts that remove a write intent: return whether it was open.
local function remove_intent(name)
    if redis.call('HGET', KEYS[4], 'name') ~= name then return redis.call('ZREM', KEYS[3], name) == 1 end
    if redis.call('HINCRBY', KEYS[4], 'writers', -1) <= 0 then
        redis.call('DEL', KEYS[4])
        redis.call('ZREM', KEYS[3], 'merged')
    end
    return true
end
