-- Replace an entry by a tombstone.
-- KEYS: 1 entry. ARGV: 1 text of the tombstone, 2 seconds to live.
redis.call('SET', KEYS[1], server .. ARGV[1], 'EX', ARGV[2])
