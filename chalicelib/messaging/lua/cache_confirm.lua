-- Record that MySQL agreed with what a reader saw, and store that reader's state. Return the version, a new one if the
-- state changed; nil if anything was written since it was read.
-- ARGV: 1 version, 2 time of the read, 3 reader, 4 read_seq, 5 uncounted_after_read, 6 hidden_seq.
if version ~= ARGV[1] then return end
local reader = ARGV[3]
local state = redis.call('HMGET', KEYS[1], 'read_seq:' .. reader, 'uncounted_after_read:' .. reader, 'hidden_seq:' .. reader)
redis.call('HSET', KEYS[1], 'verified_at', ARGV[2], 'verified_at:' .. reader, ARGV[2])
if state[1] == ARGV[4] and state[2] == ARGV[5] and state[3] == ARGV[6] then return version end
redis.call('HSET', KEYS[1], 'read_seq:' .. reader, ARGV[4], 'uncounted_after_read:' .. reader, ARGV[5],
    'hidden_seq:' .. reader, ARGV[6])
return server .. version_parts[1] .. '.' .. redis.call('HINCRBY', KEYS[1], 'revision', 1)
