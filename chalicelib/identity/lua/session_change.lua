-- Announce that a principal's sessions have changed. Only the newest entry counts.
-- KEYS: 1 stream.
redis.call('XADD', KEYS[1], 'MAXLEN', 1, '*', 'changed', 1)
redis.call('EXPIRE', KEYS[1], TTL_SECONDS)
