-- Record that a writer is about to commit: readers use MySQL until the intent is removed. Return whether it was added:
-- a writer who is not authenticated yet adds none to MAX_OPEN_INTENTS, so strangers' intents stay few.
-- ARGV: 1 name of the intent, 2 '1' if the writer is authenticated.
if ARGV[2] ~= '1' and redis.call('ZCARD', KEYS[3]) >= MAX_OPEN_INTENTS then return end
redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[1])
redis.call('EXPIRE', KEYS[3], 2 * WRITE_INTENT_SECONDS)
advance_version(ARGV[1])
return 1
