-- Record that a writer is about to commit: readers use MySQL until the intent is removed.
-- ARGV: 1 writer.
redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[1])
redis.call('EXPIRE', KEYS[3], 2 * WRITE_INTENT_SECONDS)
advance_version(ARGV[1])
