"""The Lua of the tail. `server` names the running server; see tail.py for what it all means.

KEYS: 1 state, 2 tail (record by seq), 3 marks (writer by second). The state holds server, epoch, turn, first (the seq
that the tail was filled from), tenant, last_seq, changes, checked (ms), and of each seated principal read:…, own:…,
hidden:… and checked:….

A version is the server, the epoch (begun where there is no state) and the turn (counted up by whatever is written), so
that no version ever comes back: not after a flush, nor with an older copy.
"""

from chalicelib.adapters.redis import Script

MAX_MESSAGES = 200  # messages of a conversation
TRUST_SECONDS = 10  # seconds without a comparison
WRITE_INTENT_SECONDS = 60  # seconds after which a mark is a dead writer's, and falls to the next refill
TTL_SECONDS = 86_400  # seconds that an unused tail stays

_READ_VERSION = """
    local was = redis.call('HMGET', KEYS[1], 'epoch', 'turn')
    local version = was[1] and server .. was[1] .. '.' .. (was[2] or 0)
"""
# A nonce is wanted in case there is no state.
_ADVANCE_VERSION = f"""
    local function turn(nonce)
        redis.call('HSETNX', KEYS[1], 'epoch', nonce)
        redis.call('HINCRBY', KEYS[1], 'turn', 1)
        redis.call('EXPIRE', KEYS[1], {TTL_SECONDS})
    end
"""

# ARGV: writer.
ADD_WRITE_INTENT = Script(f"""{_ADVANCE_VERSION}
    redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[1])
    redis.call('EXPIRE', KEYS[3], {2 * WRITE_INTENT_SECONDS})
    turn(ARGV[1])
""")

REMOVE_WRITE_INTENT = Script("redis.call('ZREM', KEYS[3], ARGV[1])")

# ARGV: writer, seq, record, changes, how many of them are its own (0, 1), sender ("" for one that does not count it).
# A tail that another server left behind, or none, is not added to: the next reader refills it. Nor is one that lost
# its records, or missed a change, or that a message reaches only after a change to it may have done.
# A message counts as its sender's own once; where a seat may have counted it already, the seat is forgotten.
PUBLISH = Script(f"""{_ADVANCE_VERSION}
    local heard = redis.call('ZREM', KEYS[3], ARGV[1])
    turn(ARGV[1])
    local state = redis.call('HMGET', KEYS[1], 'server', 'first', 'last_seq', 'changes')
    if state[1] ~= server then return end
    local seq, first, last, ahead = tonumber(ARGV[2]), tonumber(state[2]), tonumber(state[3]), ARGV[4] - state[4]
    local who, known = ARGV[6], redis.call('ZCOUNT', KEYS[2], seq, seq) == 1
    if ahead > tonumber(ARGV[5]) or (ahead < 0 and not known) or (who == '' and seq > last)
        or (first <= last and redis.call('ZCARD', KEYS[2]) == 0) then
        redis.call('HDEL', KEYS[1], 'server')
        return
    end
    if ahead > 0 then redis.call('HSET', KEYS[1], 'changes', ARGV[4]) end
    if known and ahead >= 0 or not known and who ~= '' and seq >= first then
        redis.call('ZREMRANGEBYSCORE', KEYS[2], seq, seq)
        redis.call('ZADD', KEYS[2], seq, ARGV[3])
        redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -{MAX_MESSAGES + 1})
        redis.call('EXPIRE', KEYS[2], {TTL_SECONDS})
    end
    if seq > last then redis.call('HSET', KEYS[1], 'last_seq', seq) end
    if known or who == '' or seq < first then return end
    if heard == 0 or seq <= last - {MAX_MESSAGES} then
        redis.call('HDEL', KEYS[1], 'read:' .. who, 'own:' .. who, 'hidden:' .. who)
    elseif redis.call('HEXISTS', KEYS[1], 'own:' .. who) == 1 then
        redis.call('HINCRBY', KEYS[1], 'own:' .. who, 1)
    end
""")

# ARGV: limit, principal, nonce. Answers {verdict, version, server time in ms} and, unless it is broken,
# tenant, last_seq, changes, read, own, hidden, record ... What is compared with MySQL is the log and the reader's own
# seat; a tail without that seat is stale, and the three numbers empty.
READ = Script(f"""{_READ_VERSION}
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local who = ARGV[2]
    if not version then
        redis.call('HSET', KEYS[1], 'epoch', ARGV[3])
        redis.call('EXPIRE', KEYS[1], {WRITE_INTENT_SECONDS})
        version = server .. ARGV[3] .. '.0'
    end
    local state = redis.call('HMGET', KEYS[1], 'server', 'first', 'last_seq', 'changes', 'checked', 'checked:' .. who,
        'read:' .. who, 'own:' .. who, 'hidden:' .. who, 'tenant')
    local broken = {{'broken', version, now}}
    if state[1] ~= server or redis.call('ZCARD', KEYS[3]) > 0 then return broken end
    local last, kept = tonumber(state[3]), redis.call('ZCARD', KEYS[2])
    if kept ~= math.min(last - state[2] + 1, {MAX_MESSAGES}) then return broken end
    local lowest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    if lowest and tonumber(lowest) ~= last - kept + 1 then return broken end
    local found = redis.call('ZREVRANGE', KEYS[2], 0, ARGV[1] - 1)
    if #found ~= math.min(last, tonumber(ARGV[1])) then return broken end
    local age = now - math.min(tonumber(state[5]), tonumber(state[6] or 0))
    local verdict = state[9] and age >= 0 and age <= {TRUST_SECONDS * 1000} and 'whole' or 'stale'
    return {{verdict, version, now, state[10], last, state[4], state[7] or '', state[8] or '', state[9] or '',
        unpack(found)}}
""")

# ARGV: version, time of the look, principal, read, own, hidden. Answers the version, a new one where the seat is new.
CONFIRM = Script(f"""{_READ_VERSION}
    if version ~= ARGV[1] then return end
    local who = ARGV[3]
    local seat = redis.call('HMGET', KEYS[1], 'read:' .. who, 'own:' .. who, 'hidden:' .. who)
    redis.call('HSET', KEYS[1], 'checked', ARGV[2], 'checked:' .. who, ARGV[2])
    if seat[1] == ARGV[4] and seat[2] == ARGV[5] and seat[3] == ARGV[6] then return version end
    redis.call('HSET', KEYS[1], 'read:' .. who, ARGV[4], 'own:' .. who, ARGV[5], 'hidden:' .. who, ARGV[6])
    return server .. was[1] .. '.' .. redis.call('HINCRBY', KEYS[1], 'turn', 1)
""")

# ARGV: version, time of the look, tenant, last_seq, changes, number of seats, (principal, read, own, hidden) ...,
# (seq, record) ... Answers the new version; nothing where anything was written since the look.
REFILL = Script(f"""{_READ_VERSION}
    if version ~= ARGV[1] then return end
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', redis.call('TIME')[1] - {WRITE_INTENT_SECONDS})
    redis.call('DEL', KEYS[1], KEYS[2])
    local records = 7 + 4 * ARGV[6]
    local turn, first = (was[2] or 0) + 1, ARGV[4] - (#ARGV - records + 1) / 2 + 1
    redis.call('HSET', KEYS[1], 'epoch', was[1], 'turn', turn, 'server', server, 'checked', ARGV[2],
        'first', first, 'tenant', ARGV[3], 'last_seq', ARGV[4], 'changes', ARGV[5])
    for i = 7, records - 1, 4 do
        redis.call('HSET', KEYS[1], 'read:' .. ARGV[i], ARGV[i + 1], 'own:' .. ARGV[i], ARGV[i + 2],
            'hidden:' .. ARGV[i], ARGV[i + 3], 'checked:' .. ARGV[i], ARGV[2])
    end
    for i = records, #ARGV, 2 do redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1]) end
    redis.call('EXPIRE', KEYS[1], {TTL_SECONDS})
    redis.call('EXPIRE', KEYS[2], {TTL_SECONDS})
    return server .. was[1] .. '.' .. turn
""")

# ARGV: version, nonce, principal, read, own, hidden. Where anything was written since the look, or is being written,
# these may be older than what is there: then the seat is forgotten, and the next reader brings it from MySQL.
SET_PARTICIPANT = Script(f"""{_READ_VERSION}{_ADVANCE_VERSION}
    local who = ARGV[3]
    if version == ARGV[1] and redis.call('ZCARD', KEYS[3]) == 0 then
        redis.call('HSET', KEYS[1], 'read:' .. who, ARGV[4], 'own:' .. who, ARGV[5], 'hidden:' .. who, ARGV[6])
    else
        redis.call('HDEL', KEYS[1], 'read:' .. who, 'own:' .. who, 'hidden:' .. who)
    end
    turn(ARGV[2])
""")

# ARGV: writer, principal ... A seat that was taken or given up is forgotten: the next reader asks MySQL for it.
FORGET_PARTICIPANTS = Script(f"""{_ADVANCE_VERSION}
    redis.call('ZREM', KEYS[3], ARGV[1])
    for i = 2, #ARGV do
        redis.call('HDEL', KEYS[1], 'read:' .. ARGV[i], 'own:' .. ARGV[i], 'hidden:' .. ARGV[i])
    end
    turn(ARGV[1])
""")
