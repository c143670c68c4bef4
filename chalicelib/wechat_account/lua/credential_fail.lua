-- Record that fetching failed and end the lease. A holder whose lease has passed to another changes nothing.
-- KEYS: 1 credential, 2 lease, 3 failure. ARGV: 1 lease holder, 2 errcode, 3 milliseconds to remember it.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
