-- Remove the intent of a writer that committed nothing.
-- ARGV: 1 writer.
redis.call('ZREM', KEYS[3], ARGV[1])
