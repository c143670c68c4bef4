"""Each principal's stream of events in Redis: what clients that listen are told. History is in the log.

A position in it is a cursor: the stream's generation and a gapless counter, abc.12. A server that lost the stream, or
never had it, begins another generation, so that a listener who cannot be served from it is told of the gap.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chalicelib.adapters.redis import Script, ScriptCall
from chalicelib.messaging import ids
from chalicelib.messaging.models import StoredMessage

MAX_STREAM_LENGTH = 500  # events
TTL_SECONDS = 7 * 86_400  # seconds

# KEYS: 1 head (server, generation, count), 2 stream. ARGV: a generation for a stream begun
# here.
_INIT_STREAM_LUA = """
    local head = redis.call('HMGET', KEYS[1], 'server', 'generation', 'count')
    if head[1] ~= server or (head[3] ~= '0' and redis.call('XLEN', KEYS[2]) == 0) then
        redis.call('DEL', KEYS[1], KEYS[2])
        redis.call('HSET', KEYS[1], 'server', server, 'generation', ARGV[1], 'count', 0)
        head = {server, ARGV[1], '0'}
    end
"""
# KEYS: … 3 the copy of who listens (sockets.py). ARGV: … 2 event. Answers generation, counter, the copy or nothing.
_PUBLISH_SCRIPT = Script(f"""{_INIT_STREAM_LUA}
    local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
    redis.call('XADD', KEYS[2], 'MAXLEN', {MAX_STREAM_LENGTH}, count .. '-0', 'event', ARGV[2])
    redis.call('EXPIRE', KEYS[1], {TTL_SECONDS})
    redis.call('EXPIRE', KEYS[2], {TTL_SECONDS})
    local listening = redis.call('GET', KEYS[3])
    local ours = listening and string.sub(listening, 1, #server) == server
    return {{head[2], count, ours and string.sub(listening, #server + 1)}}
""")
# KEYS: … 3 how far a token has come. ARGV: … 2 the generation and 3 the counter of a cursor, "" for the token's; 4
# limit.
# Answers generation, counter of the head, counter to go on from, gap (0, 1; 2 for a token that has not come anywhere
# yet, or whose place was lost), then counter and event of each.
_READ_SCRIPT = Script(f"""{_INIT_STREAM_LUA}
    local generation, after, gap = ARGV[2], ARGV[3], 0
    if generation == '' then
        local kept = redis.call('GET', KEYS[3])
        if kept then generation, after = string.match(kept, '^(%w+)%.(%d+)$')
        else generation, after, gap = head[2], head[3], 2 end
    end
    redis.call('EXPIRE', KEYS[1], {TTL_SECONDS})
    local last = tonumber(head[3])
    after = tonumber(after)
    if generation ~= head[2] or after > last or after < last - redis.call('XLEN', KEYS[2]) then after, gap = last, 1 end
    local answer = {{head[2], last, after, gap}}
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], (after + 1) .. '-0', '+', 'COUNT', ARGV[4])) do
        table.insert(answer, string.match(entry[1], '^(%d+)'))
        table.insert(answer, entry[2][2])
    end
    return answer
""")
# KEYS: 1 how far a token has come. ARGV: cursor.
_SET_POSITION_SCRIPT = Script(f"redis.call('SET', KEYS[1], ARGV[1], 'EX', {TTL_SECONDS})")


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as it went into one principal's stream."""

    principal: str
    event: dict[str, Any]
    cursor: str
    cached_sockets: str | None  # the copy of who listens, None where Redis has none


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A part of a stream, and the cursor behind it. gap: something before it is lost, history has it.

    placeless: perhaps, for nothing is known of how far that token has come.
    """

    events: list[tuple[str, dict[str, Any]]]  # each with its own cursor
    cursor: str
    gap: bool
    position_unknown: bool


def build_message_event(public_id: str, written: StoredMessage) -> dict[str, Any]:
    """An event names its message and does not hold it: what was withdrawn must not be found in a stream."""
    return _build_event("message", public_id, written)


def build_withdrawn_event(public_id: str, written: StoredMessage) -> dict[str, Any]:
    """A message is no longer to be shown."""
    return _build_event("withdrawn", public_id, written)


def build_read_event(public_id: str, message_id: str, principal: str, at: int) -> dict[str, Any]:
    """A participant has read everything up to a message."""
    return {"kind": "read", "conversation": public_id, "id": message_id, "from": principal, "at": at}


def build_application_event(kind: int, content: dict[str, Any], at: int) -> dict[str, Any]:
    """An event that is no message: a type above 1099, and what it says. It must hold nothing that is not theirs."""
    return {"kind": "notice", "type": kind, "content": content, "at": at}


def _build_event(kind: str, public_id: str, written: StoredMessage) -> dict[str, Any]:
    one = written.message
    return {"kind": kind, "conversation": public_id, "seq": one.seq, "id": one.id, "prev_id": written.prev_id}


def build_publish_calls(tenant_id: int, principals: Iterable[str], event: dict[str, Any]) -> list[ScriptCall]:
    """Return the scripts that tell these principals; `told` reads what they answer."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return [
        (_PUBLISH_SCRIPT, build_keys(tenant_id, principal), [ids.generate_nonce(), text]) for principal in principals
    ]


def parse_published_events(
    principals: Iterable[str], event: dict[str, Any], answers: Iterable[Any]
) -> list[PublishedEvent]:
    return [
        PublishedEvent(principal, event, f"{generation}.{count}", listening)
        for principal, (generation, count, listening) in zip(principals, answers, strict=True)
    ]


def build_read_call(tenant_id: int, principal: str, cursor: str, token: str, limit: int) -> ScriptCall:
    """Return the script that reads on from a cursor, "" for where the token has come to; `stretch` reads its answer."""
    generation, _, count = cursor.partition(".")
    where = [*build_keys(tenant_id, principal)[:2], _build_position_key(tenant_id, principal, token)]
    return _READ_SCRIPT, where, [ids.generate_nonce(), generation, count, limit]


def parse_page(answer: list[Any]) -> FeedPage:
    generation, _, after, gap, *rest = answer
    events = [(f"{generation}.{count}", json.loads(text)) for count, text in zip(rest[::2], rest[1::2], strict=True)]
    return FeedPage(events, events[-1][0] if events else f"{generation}.{after}", gap == 1, gap == 2)


def parse_end_cursor(answer: list[Any]) -> str:
    """Return the cursor behind the whole stream, from what `reading` was answered."""
    return f"{answer[0]}.{answer[1]}"


def build_set_position_call(tenant_id: int, principal: str, token: str, cursor: str) -> ScriptCall:
    """Return the script that keeps how far a token has come."""
    return _SET_POSITION_SCRIPT, [_build_position_key(tenant_id, principal, token)], [cursor]


def _build_position_key(tenant_id: int, principal: str, token: str) -> str:
    return f"feed:2:{{{tenant_id}:{principal}}}:place:{token}"


def build_keys(tenant_id: int, principal: str) -> list[str]:
    """A principal is named inside its tenant: two hospitals may each have a session:abc."""
    return [f"feed:2:{{{tenant_id}:{principal}}}:{part}" for part in ("head", "stream", "sockets")]
