-- Store an entry unless there is one. NX: a row that was read from MySQL before a revocation must not replace the
-- tombstone of that revocation.
-- KEYS: 1 entry. ARGV: 1 text, 2 seconds to live.
redis.call('SET', KEYS[1], server .. ARGV[1], 'EX', ARGV[2], 'NX')
