-- Return {verdict, version, server time in ms} and, unless the verdict is 'busy' or 'broken', tenant_id, last_seq, changes,
-- read_seq, uncounted_after_read, hidden_seq, record, record, ... (newest first).
--
-- 'fresh': the log and the reader's own state were compared with MySQL in the last TRUST_SECONDS. 'stale': to be used
-- only if MySQL agrees; also if the reader's state is missing, whose three numbers are then ''. 'busy': not to be used,
-- because writers are about to change it. 'broken': not to be used, because another server wrote it, records are missing,
-- or a write intent has been open for BUSY_SECONDS.
--
-- ARGV: 1 limit, 2 reader, 3 nonce for a cache without state.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reader = ARGV[2]
if not version then
    redis.call('HSET', KEYS[1], 'epoch', ARGV[3])
    redis.call('EXPIRE', KEYS[1], WRITE_INTENT_SECONDS)
    version = server .. ARGV[3] .. '.0'
end
local state = redis.call('HMGET', KEYS[1], 'server', 'first_seq', 'last_seq', 'changes', 'verified_at',
    'verified_at:' .. reader, 'read_seq:' .. reader, 'uncounted_after_read:' .. reader, 'hidden_seq:' .. reader, 'tenant_id')
local broken = {'broken', version, now}
local oldest_intent = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
if oldest_intent then return {time[1] - oldest_intent < BUSY_SECONDS and 'busy' or 'broken', version, now} end
if state[1] ~= server then return broken end
local last_seq, cached = tonumber(state[3]), redis.call('ZCARD', KEYS[2])
if cached ~= math.min(last_seq - state[2] + 1, MAX_MESSAGES) then return broken end
local lowest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
if lowest and tonumber(lowest) ~= last_seq - cached + 1 then return broken end
local records = redis.call('ZREVRANGE', KEYS[2], 0, ARGV[1] - 1)
if #records ~= math.min(last_seq, tonumber(ARGV[1])) then return broken end
local age = now - math.min(tonumber(state[5]), tonumber(state[6] or 0))
local verdict = state[9] and age >= 0 and age <= TRUST_SECONDS * 1000 and 'fresh' or 'stale'
return {verdict, version, now, state[10], last_seq, state[4], state[7] or '', state[8] or '', state[9] or '',
    unpack(records)}
