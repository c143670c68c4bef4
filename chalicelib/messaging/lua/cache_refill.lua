-- Replace the cache by what MySQL holds, and drop write intents of dead writers. Return the new version; nil if
-- anything was written since it was read.
-- ARGV: 1 version, 2 time of the read, 3 tenant_id, 4 last_seq, 5 changes, 6 number of participants, then
-- (principal, read_seq, uncounted_after_read, hidden_seq) of each, then (seq, record) of each message.
if version ~= ARGV[1] then return end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', redis.call('TIME')[1] - WRITE_INTENT_SECONDS)
redis.call('DEL', KEYS[1], KEYS[2])
local records_at = 7 + 4 * ARGV[6]
local revision, first_seq = (version_parts[2] or 0) + 1, ARGV[4] - (#ARGV - records_at + 1) / 2 + 1
redis.call('HSET', KEYS[1], 'epoch', version_parts[1], 'revision', revision, 'server', server, 'verified_at', ARGV[2],
    'first_seq', first_seq, 'tenant_id', ARGV[3], 'last_seq', ARGV[4], 'changes', ARGV[5])
for i = 7, records_at - 1, 4 do
    redis.call('HSET', KEYS[1], 'read_seq:' .. ARGV[i], ARGV[i + 1], 'uncounted_after_read:' .. ARGV[i], ARGV[i + 2],
        'hidden_seq:' .. ARGV[i], ARGV[i + 3], 'verified_at:' .. ARGV[i], ARGV[2])
end
for i = records_at, #ARGV, 2 do redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], TTL_SECONDS)
redis.call('EXPIRE', KEYS[2], TTL_SECONDS)
return server .. version_parts[1] .. '.' .. revision
