"""Each principal's stream of events in Redis: what clients that listen are told. History is in the log.

A position in it is the stream's generation and a gapless counter; a server that lost the stream, or never had it,
begins another generation, so that a listener who cannot be served from it is told of the gap.
"""

import json
from typing import Any

from chalicelib.adapters.redis import Call, Script
from chalicelib.messaging import ids
from chalicelib.messaging.models import Message, Written

KEPT = 500  # events
LIFE = 7 * 86_400  # seconds

# KEYS: 1 head (server, generation, count), 2 stream. ARGV: a generation for a stream begun here, event.
_EMIT = Script(f"""
    local head = redis.call('HMGET', KEYS[1], 'server', 'count')
    if head[1] ~= server or redis.call('XLEN', KEYS[2]) == 0 then
        redis.call('DEL', KEYS[1], KEYS[2])
        redis.call('HSET', KEYS[1], 'server', server, 'generation', ARGV[1], 'count', 0)
    end
    local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
    redis.call('XADD', KEYS[2], 'MAXLEN', {KEPT}, count .. '-0', 'event', ARGV[2])
    redis.call('EXPIRE', KEYS[1], {LIFE})
    redis.call('EXPIRE', KEYS[2], {LIFE})
    return count
""")


def messages(public_id: str, written: Written) -> list[Call]:
    """Tell every participant of a new message."""
    return _events(written.principals, "message", public_id, written.message, prev_id=written.prev_id)


def withdrawals(public_id: str, written: Written) -> list[Call]:
    """Tell every participant that a message is no longer to be shown."""
    return _events(written.principals, "withdrawn", public_id, written.message)


def _events(principals: list[str], kind: str, public_id: str, message: Message, **more: Any) -> list[Call]:
    event = {"kind": kind, "conversation": public_id, "message": json.loads(message.record()), **more}
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return [(_EMIT, keys(principal), [ids.nonce(), text]) for principal in principals]


def keys(principal: str) -> list[str]:
    return [f"feed:{{{principal}}}:{part}" for part in ("head", "stream")]
