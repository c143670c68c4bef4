-- Add a committed message, or replace one that changed, and remove its writer's intent.
--
-- Nothing is added to a cache that another server left behind, or to none: the next reader refills it. A cache is
-- discarded (its `server` removed) if it has lost its records, has missed a change, or receives a message that a change
-- it already knows of may concern. A message counts as its sender's own once; if the participant's state may have
-- counted it already, that state is removed. A withdrawal changes the unread counts of those who have not read the
-- message, so it removes all states: their next readers bring them from MySQL.
--
-- ARGV: 1 name of the intent, 2 seq, 3 record, 4 changes of the conversation, 5 how many of them are this write's own (0, 1),
-- 6 sender ('' if the message is not to be counted as anybody's own).
local had_intent = redis.call('ZREM', KEYS[3], ARGV[1]) == 1
advance_version(ARGV[1])
local state = redis.call('HMGET', KEYS[1], 'server', 'first_seq', 'last_seq', 'changes')
if state[1] ~= server then return end
local seq, first_seq, last_seq = tonumber(ARGV[2]), tonumber(state[2]), tonumber(state[3])
local changes_ahead = ARGV[4] - state[4]
local sender, known = ARGV[6], redis.call('ZCOUNT', KEYS[2], seq, seq) == 1
if changes_ahead > tonumber(ARGV[5]) or (changes_ahead < 0 and not known) or (sender == '' and seq > last_seq)
    or (first_seq <= last_seq and redis.call('ZCARD', KEYS[2]) == 0) then
    redis.call('HDEL', KEYS[1], 'server')
    return
end
if changes_ahead > 0 then redis.call('HSET', KEYS[1], 'changes', ARGV[4]) end
if ARGV[5] == '1' then
    for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
        if string.find(field, '^read_seq:') or string.find(field, '^%l+_after_read:') or string.find(field, '^hidden_seq:') then
            redis.call('HDEL', KEYS[1], field)
        end
    end
end
if known and changes_ahead >= 0 or not known and sender ~= '' and seq >= first_seq then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], seq, seq)
    redis.call('ZADD', KEYS[2], seq, ARGV[3])
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -(MAX_MESSAGES + 1))
    redis.call('EXPIRE', KEYS[2], TTL_SECONDS)
end
if seq > last_seq then redis.call('HSET', KEYS[1], 'last_seq', seq) end
if known or sender == '' or seq < first_seq then return end
if not had_intent or seq <= last_seq - MAX_MESSAGES then
    redis.call('HDEL', KEYS[1], 'read_seq:' .. sender, 'uncounted_after_read:' .. sender, 'hidden_seq:' .. sender)
elseif redis.call('HEXISTS', KEYS[1], 'uncounted_after_read:' .. sender) == 1 then
    redis.call('HINCRBY', KEYS[1], 'uncounted_after_read:' .. sender, 1)
end
