-- Shared by scripts that use a principal's feed: start a new generation unless this server holds the current one.
-- KEYS of every such script: 1 head (hash: server, generation, count), 2 stream. ARGV: 1 generation for a new stream.
local head = redis.call('HMGET', KEYS[1], 'server', 'generation', 'count')
if head[1] ~= server or (head[3] ~= '0' and redis.call('XLEN', KEYS[2]) == 0) then
    redis.call('DEL', KEYS[1], KEYS[2])
    redis.call('HSET', KEYS[1], 'server', server, 'generation', ARGV[1], 'count', 0)
    head = {server, ARGV[1], '0'}
end
