-- Store a fetched credential and end the lease. A holder whose lease has passed to another changes nothing.
-- KEYS: 1 credential, 2 lease. ARGV: 1 lease holder, 2 credential, 3 milliseconds to live (0 or less: not stored).
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[1], KEYS[2])
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
