"""The newest messages of each conversation in Redis, and how a reader knows that they are the newest.

MySQL is the truth. A writer leaves a mark before its transaction; one script after the commit adds the message and
clears the mark. A reader believes a tail only if this very server has kept it since it was filled, no mark is open,
and the seqs run without a hole up to last_seq; and it compares with MySQL again after 10 seconds, in case a writer
could not reach Redis. Else it reads MySQL and refills. Whatever happens in between - a mark, a message - changes the
tail's version, and a refill takes effect only on the version it was read for.
"""

from dataclasses import dataclass
from typing import Any

from chalicelib.adapters import redis
from chalicelib.adapters.redis import Call, Script
from chalicelib.messaging.models import Message

KEPT = 200  # messages of a conversation
BELIEVED = 10  # seconds without a comparison
MARK_LIFE = 60  # seconds after which a mark is a dead writer's, and falls to the next refill
LIFE = 86_400  # seconds that an unused tail stays

# KEYS: 1 state (server, version, last_seq, checked), 2 tail (record by seq), 3 marks (writer by second).
_MARK = Script(f"""
    redis.call('ZADD', KEYS[3], redis.call('TIME')[1], ARGV[1])
    redis.call('EXPIRE', KEYS[3], {2 * MARK_LIFE})
    redis.call('HSET', KEYS[1], 'version', ARGV[1])
    redis.call('EXPIRE', KEYS[1], {LIFE})
""")

_UNMARK = Script("redis.call('ZREM', KEYS[3], ARGV[1])")

# A tail that another server left behind, or none, is not added to: the next reader refills it.
_PUBLISH = Script(f"""
    redis.call('ZREM', KEYS[3], ARGV[1])
    redis.call('HSET', KEYS[1], 'version', ARGV[1] .. '!')
    redis.call('EXPIRE', KEYS[1], {LIFE})
    local state = redis.call('HMGET', KEYS[1], 'server', 'last_seq')
    if state[1] ~= server then return end
    redis.call('ZREMRANGEBYSCORE', KEYS[2], ARGV[2], ARGV[2])
    redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -{KEPT + 1})
    redis.call('EXPIRE', KEYS[2], {LIFE})
    if tonumber(ARGV[2]) > tonumber(state[2]) then redis.call('HSET', KEYS[1], 'last_seq', ARGV[2]) end
""")

# Answers {verdict, version, server time in ms, last_seq, record ...}. A missing version is given one here, so that a
# state that is flushed and written again between two looks never has the version it had.
_READ = Script(f"""
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local state = redis.call('HMGET', KEYS[1], 'server', 'version', 'last_seq', 'checked')
    if not state[2] then
        state[2] = ARGV[2]
        redis.call('HSET', KEYS[1], 'version', ARGV[2])
        redis.call('EXPIRE', KEYS[1], {MARK_LIFE})
    end
    if state[1] ~= server or redis.call('ZCARD', KEYS[3]) > 0 then return {{'broken', state[2], now, 0}} end
    local last, limit = tonumber(state[3]), tonumber(ARGV[1])
    local found = redis.call('ZREVRANGE', KEYS[2], 0, limit - 1, 'WITHSCORES')
    if #found / 2 ~= math.min(last, limit) then return {{'broken', state[2], now, 0}} end
    local verdict = now - state[4] <= {BELIEVED * 1000} and 'whole' or 'stale'
    local answer = {{verdict, state[2], now, last}}
    for i = 1, #found, 2 do
        if tonumber(found[i + 1]) ~= last - (i - 1) / 2 then return {{'broken', state[2], now, 0}} end
        answer[#answer + 1] = found[i]
    end
    return answer
""")

_CONFIRM = Script("""
    local state = redis.call('HMGET', KEYS[1], 'server', 'version')
    if state[1] == server and state[2] == ARGV[1] then redis.call('HSET', KEYS[1], 'checked', ARGV[2]) end
""")

# Two readers may refill at once, and one may have read MySQL later than the other: last_seq never goes back.
_REFILL = Script(f"""
    local state = redis.call('HMGET', KEYS[1], 'server', 'version', 'last_seq')
    if state[2] ~= ARGV[1] then return end
    if state[1] == server and tonumber(state[3]) > tonumber(ARGV[3]) then return end
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', redis.call('TIME')[1] - {MARK_LIFE})
    redis.call('DEL', KEYS[2])
    for i = 4, #ARGV, 2 do redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1]) end
    redis.call('HSET', KEYS[1], 'server', server, 'checked', ARGV[2], 'last_seq', ARGV[3])
    redis.call('EXPIRE', KEYS[1], {LIFE})
    redis.call('EXPIRE', KEYS[2], {LIFE})
""")


@dataclass(frozen=True, slots=True)
class View:
    """What a reader found: `whole` can be believed, `stale` once MySQL ends at last_seq too, `broken` not at all."""

    verdict: str
    version: str
    at: int  # the server's time, milliseconds
    last_seq: int
    messages: list[Message]  # newest first


def mark(public_id: str, writer: str) -> bool:
    """Say that a writer is about to commit; return whether Redis heard it."""
    return redis.attempt(_MARK, _keys(public_id), [writer])


def unmark(public_id: str, writer: str) -> None:
    """The writer committed nothing."""
    redis.attempt(_UNMARK, _keys(public_id), [writer])


def publish(public_id: str, writer: str, message: Message) -> bool:
    """Show a committed message and clear its writer's mark. Publishing twice changes nothing."""
    return redis.attempt(_PUBLISH, _keys(public_id), [writer, message.seq, message.record()])


def reading(public_id: str, limit: int, nonce: str) -> Call:
    """Return the script whose answer `view` reads, to be run with others."""
    return _READ, _keys(public_id), [limit, nonce]


def view(answer: list[Any]) -> View:
    verdict, version, at, last_seq, *records = answer
    return View(verdict, version, int(at), int(last_seq), [Message.of_record(record) for record in records])


def confirm(public_id: str, seen: View) -> None:
    """MySQL agrees with what was seen."""
    redis.attempt(_CONFIRM, _keys(public_id), [seen.version, seen.at])


def refill(public_id: str, seen: View, messages: list[Message]) -> None:
    """Replace a tail that could not be believed by MySQL's newest messages, unless it changed since it was seen."""
    last_seq = messages[0].seq if messages else 0
    records = [part for message in messages for part in (message.seq, message.record())]
    redis.attempt(_REFILL, _keys(public_id), [seen.version, seen.at, last_seq, *records])


def _keys(public_id: str) -> list[str]:
    return [f"log:{{{public_id}}}:{part}" for part in ("state", "tail", "marks")]
