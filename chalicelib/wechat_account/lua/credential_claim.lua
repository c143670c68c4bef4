-- Claim a flag for some time: return 1 if it was free, else nil.
-- KEYS: 1 flag. ARGV: 1 seconds.
return redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) and 1
