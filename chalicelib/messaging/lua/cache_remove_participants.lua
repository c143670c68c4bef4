-- Remove the state of participants that joined or left, and the intent of the writer that changed them: the next reader
-- brings it from MySQL.
-- ARGV: 1 name of the intent, then the principals.
redis.call('ZREM', KEYS[3], ARGV[1])
for i = 2, #ARGV do
    redis.call('HDEL', KEYS[1], 'read_seq:' .. ARGV[i], 'uncounted_after_read:' .. ARGV[i], 'hidden_seq:' .. ARGV[i])
end
advance_version(ARGV[1])
