-- Release a flag before its time.
-- KEYS: 1 flag.
return redis.call('DEL', KEYS[1])
