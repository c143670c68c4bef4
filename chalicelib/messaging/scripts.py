"""The Lua of the tail. `server` names the running server; see tail.py for what it all means.

KEYS: 1 state, 2 tail (record by seq), 3 marks (writer by second). The state holds server, version, last_seq, changes,
checked (ms), and of each seated principal read:…, own:… and hidden:….
"""

from chalicelib.adapters.redis import Script

KEPT = 200  # messages of a conversation
BELIEVED = 10  # seconds without a comparison
MARK_LIFE = 60  # seconds after which a mark is a dead writer's, and falls to the next refill
LIFE = 86_400  # seconds that an unused tail stays

# ARGV: writer.
MARK = Script(f"""
    redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[1])
    redis.call('EXPIRE', KEYS[3], {2 * MARK_LIFE})
    redis.call('HSET', KEYS[1], 'version', ARGV[1])
    redis.call('EXPIRE', KEYS[1], {LIFE})
""")

UNMARK = Script("redis.call('ZREM', KEYS[3], ARGV[1])")

# ARGV: writer, seq, record, changes, sender ("" where an old message changed).
# A tail that another server left behind, or none, is not added to: the next reader refills it.
PUBLISH = Script(f"""
    redis.call('ZREM', KEYS[3], ARGV[1])
    redis.call('HSET', KEYS[1], 'version', ARGV[1] .. '!')
    redis.call('EXPIRE', KEYS[1], {LIFE})
    local state = redis.call('HMGET', KEYS[1], 'server', 'last_seq', 'changes')
    if state[1] ~= server then return end
    local seq, last = tonumber(ARGV[2]), tonumber(state[2])
    local known = redis.call('ZREMRANGEBYSCORE', KEYS[2], seq, seq)
    redis.call('ZADD', KEYS[2], seq, ARGV[3])
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -{KEPT + 1})
    redis.call('EXPIRE', KEYS[2], {LIFE})
    if seq > last then redis.call('HSET', KEYS[1], 'last_seq', seq) end
    if tonumber(ARGV[4]) > tonumber(state[3]) then redis.call('HSET', KEYS[1], 'changes', ARGV[4]) end
    local own = 'own:' .. ARGV[5]
    if known == 0 and seq > last - {KEPT} and redis.call('HEXISTS', KEYS[1], own) == 1 then
        redis.call('HINCRBY', KEYS[1], own, 1)
    end
""")

# ARGV: limit, principal, nonce. Answers {verdict, version, server time in ms} and, unless it is broken,
# last_seq, changes, read, own, hidden, record ... A missing version is given one here, so that a state that is
# flushed and written again between two looks never has the version it had.
READ = Script(f"""
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local who = ARGV[2]
    local state = redis.call('HMGET', KEYS[1], 'server', 'version', 'last_seq', 'changes', 'checked',
        'read:' .. who, 'own:' .. who, 'hidden:' .. who)
    if not state[2] then
        state[2] = ARGV[3]
        redis.call('HSET', KEYS[1], 'version', ARGV[3])
        redis.call('EXPIRE', KEYS[1], {MARK_LIFE})
    end
    local broken = {{'broken', state[2], now}}
    if state[1] ~= server or not state[8] or redis.call('ZCARD', KEYS[3]) > 0 then return broken end
    local last, limit = tonumber(state[3]), tonumber(ARGV[1])
    local found = redis.call('ZREVRANGE', KEYS[2], 0, limit - 1, 'WITHSCORES')
    if #found / 2 ~= math.min(last, limit) then return broken end
    local verdict = now - state[5] <= {BELIEVED * 1000} and 'whole' or 'stale'
    local answer = {{verdict, state[2], now, last, state[4], state[6], state[7], state[8]}}
    for i = 1, #found, 2 do
        if tonumber(found[i + 1]) ~= last - (i - 1) / 2 then return broken end
        answer[#answer + 1] = found[i]
    end
    return answer
""")

# ARGV: version, time of the look.
CONFIRM = Script("""
    local state = redis.call('HMGET', KEYS[1], 'server', 'version')
    if state[1] == server and state[2] == ARGV[1] then redis.call('HSET', KEYS[1], 'checked', ARGV[2]) end
""")

# ARGV: version, time of the look, last_seq, changes, number of seats, (principal, read, own, hidden) ...,
# (seq, record) ... Two readers may refill at once, and one may have read MySQL later: nothing goes back.
REFILL = Script(f"""
    local state = redis.call('HMGET', KEYS[1], 'server', 'version', 'last_seq', 'changes')
    if state[2] ~= ARGV[1] then return end
    if state[1] == server
        and (tonumber(state[3]) > tonumber(ARGV[3]) or tonumber(state[4]) > tonumber(ARGV[4])) then return end
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', redis.call('TIME')[1] - {MARK_LIFE})
    redis.call('DEL', KEYS[1], KEYS[2])
    redis.call('HSET', KEYS[1], 'version', ARGV[1], 'server', server, 'checked', ARGV[2],
        'last_seq', ARGV[3], 'changes', ARGV[4])
    local records = 6 + 4 * ARGV[5]
    for i = 6, records - 1, 4 do
        redis.call('HSET', KEYS[1], 'read:' .. ARGV[i], ARGV[i + 1], 'own:' .. ARGV[i], ARGV[i + 2],
            'hidden:' .. ARGV[i], ARGV[i + 3])
    end
    for i = records, #ARGV, 2 do redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1]) end
    redis.call('EXPIRE', KEYS[1], {LIFE})
    redis.call('EXPIRE', KEYS[2], {LIFE})
""")

# ARGV: version, principal, read, own, hidden. Where anything was written since the look, or is being written, the
# count of own messages may be counted twice: then the seat is forgotten, and the next reader brings it from MySQL.
RESEAT = Script("""
    local state, who = redis.call('HMGET', KEYS[1], 'server', 'version'), ARGV[2]
    if state[1] == server and state[2] == ARGV[1] and redis.call('ZCARD', KEYS[3]) == 0 then
        redis.call('HSET', KEYS[1], 'read:' .. who, ARGV[3], 'own:' .. who, ARGV[4], 'hidden:' .. who, ARGV[5])
    else
        redis.call('HDEL', KEYS[1], 'read:' .. who, 'own:' .. who, 'hidden:' .. who)
    end
""")
