"""Each principal's stream of events in Redis: what clients that listen are told. History is in the log.

A position in it is the stream's generation and a gapless counter; a server that lost the stream, or never had it,
begins another generation, so that a listener who cannot be served from it is told of the gap.
"""

import json

from chalicelib.adapters.redis import Call, Script
from chalicelib.messaging import ids
from chalicelib.messaging.models import Written

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


def messages(tenant_id: int, public_id: str, written: Written) -> list[Call]:
    """Tell every participant of a new message."""
    return _events("message", tenant_id, public_id, written)


def withdrawals(tenant_id: int, public_id: str, written: Written) -> list[Call]:
    """Tell every participant that a message is no longer to be shown."""
    return _events("withdrawn", tenant_id, public_id, written)


def _events(kind: str, tenant_id: int, public_id: str, written: Written) -> list[Call]:
    """An event names its message and does not hold it: what was withdrawn must not be found in a stream."""
    message = written.message
    event = {"kind": kind, "conversation": public_id, "seq": message.seq, "id": message.id, "prev_id": written.prev_id}
    text = json.dumps(event, separators=(",", ":"))
    return [(_EMIT, keys(tenant_id, principal), [ids.nonce(), text]) for principal in written.principals]


def keys(tenant_id: int, principal: str) -> list[str]:
    """A principal is named inside its tenant: two hospitals may each have a session:abc."""
    return [f"feed:1:{{{tenant_id}:{principal}}}:{part}" for part in ("head", "stream")]
