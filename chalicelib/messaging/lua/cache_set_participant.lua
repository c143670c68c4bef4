-- Store a participant's state as MySQL has it. If anything was written since it was read, or is being written, the
-- given numbers may be older than the cached ones: then the state is removed, and the next reader reads it from MySQL.
-- ARGV: 1 version, 2 nonce, 3 principal, 4 read_seq, 5 uncounted_after_read, 6 hidden_seq.
local principal = ARGV[3]
if version == ARGV[1] and redis.call('ZCARD', KEYS[3]) == 0 then
    redis.call('HSET', KEYS[1], 'read_seq:' .. principal, ARGV[4], 'uncounted_after_read:' .. principal, ARGV[5],
        'hidden_seq:' .. principal, ARGV[6])
else
    redis.call('HDEL', KEYS[1], 'read_seq:' .. principal, 'uncounted_after_read:' .. principal, 'hidden_seq:' .. principal)
end
advance_version(ARGV[2])
