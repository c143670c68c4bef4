-- Append an event. Return its generation, its counter, and the cached list of the principal's open sockets (see
-- sockets.py; nil if this server holds none), which saves the sender a round trip.
-- KEYS: 3 cached sockets. ARGV: 2 event.
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', MAX_STREAM_LENGTH, count .. '-0', 'event', ARGV[2])
redis.call('EXPIRE', KEYS[1], TTL_SECONDS)
redis.call('EXPIRE', KEYS[2], TTL_SECONDS)
local sockets = redis.call('GET', KEYS[3])
local trusted = sockets and string.sub(sockets, 1, #server) == server
return {head[2], count, trusted and string.sub(sockets, #server + 1)}
