-- Record that a writer is about to commit: readers use MySQL until the intent is removed. Return the intent's name; nil
-- if there are too many and the writer is not authenticated yet, so that a stranger never adds to the merged one.
-- ARGV: 1 writer, 2 '1' if the writer is authenticated.
local now, name, member = redis.call('TIME')[1], ARGV[1], ARGV[1]
if redis.call('ZCARD', KEYS[3]) >= MAX_OPEN_INTENTS then
    if ARGV[2] ~= '1' then return end
    redis.call('HSETNX', KEYS[4], 'name', name)
    name, member = redis.call('HGET', KEYS[4], 'name'), 'merged'
    redis.call('HINCRBY', KEYS[4], 'writers', 1)
    redis.call('EXPIRE', KEYS[4], 2 * WRITE_INTENT_SECONDS)
end
redis.call('ZADD', KEYS[3], now, member)
redis.call('EXPIRE', KEYS[3], 2 * WRITE_INTENT_SECONDS)
advance_version(ARGV[1])
return name
