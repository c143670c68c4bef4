-- Remove a listener that no longer waits.
-- KEYS: 1 waiting listeners of the principal. ARGV: 1 name of the listener.
redis.call('ZREM', KEYS[1], ARGV[1])
