-- Set one slot of a bitmap, and a new version so that a refill that was read before takes no effect.
-- KEYS: 1 the schedule's entry. ARGV: 1 new version, never used before, 2 number of the slot, 3 '1' reserved, '0' free.
redis.call('HSET', KEYS[1], 'version', ARGV[1])
local bitmap, slot = redis.call('HGET', KEYS[1], 'bitmap'), tonumber(ARGV[2])
if bitmap and slot <= #bitmap then
    redis.call('HSET', KEYS[1], 'bitmap', string.sub(bitmap, 1, slot - 1) .. ARGV[3] .. string.sub(bitmap, slot + 1))
elseif bitmap then  -- it was written when the schedule had fewer slots
    redis.call('HDEL', KEYS[1], 'bitmap')
end
redis.call('EXPIRE', KEYS[1], TTL_SECONDS)
