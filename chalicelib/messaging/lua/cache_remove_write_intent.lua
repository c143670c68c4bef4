-- Remove the intent of a writer that committed nothing.
-- ARGV: 1 name of the intent.
redis.call('ZREM', KEYS[3], ARGV[1])
