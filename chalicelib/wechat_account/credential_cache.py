"""What another company issues for hours, kept in Redis for every process until five minutes before it ends.

A hundred that find nothing ask once: one of them takes a lease, the others wait for what it brings. A lease names its
holder, so that one who was slow, and whose lease went to another, writes over nothing. What failed is not asked for
again for a moment. Without Redis each asks for itself. What is kept is sealed: an access_token is good from any
address, and with it whoever reads Redis could write to every follower in the hospital's name.
"""

import base64
import secrets
from collections.abc import Callable

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.adapters.redis import Script
from chalicelib.adapters.wechat_api import Issued, Refusal
from chalicelib.crypto import field_encryption
from chalicelib.errors import Refused

EARLY = 300  # seconds before its end, from which on the issuer gives out the next one
LEASE = 8_000  # milliseconds: its holder is taken for dead then
PATIENCE = 10.0  # seconds that others wait
LOOK = 0.03  # seconds between two looks
PAUSE = 2_000  # milliseconds after a failure
KEPT, YOURS, FAILED, WAIT = "kept", "yours", "failed", "wait"

_READ = Script("""
    local kept = redis.call('GET', KEYS[1])
    if kept and kept ~= ARGV[3] then return {'kept', kept} end
    local failed = redis.call('GET', KEYS[3])
    if failed then return {'failed', failed} end
    if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'yours', ''} end
    return {'wait', ''}
""")
_KEEP = Script("""
    if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
    redis.call('DEL', KEYS[1], KEYS[2])
    if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
""")
_FIRST = Script("return redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) and 1")
_FAIL = Script("""
    if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
    redis.call('DEL', KEYS[2])
    redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
""")


def read(tenant_id: int, key: str, ask: Callable[[], Issued], instead_of: str = "") -> str:
    """Return what is kept under a key, asked for now if need be, or if it is `instead_of`, which is good no more.

    Raises what `ask` raises; Refused(UNAVAILABLE).
    """
    holder, deadline, useless = secrets.token_hex(8), clock.monotonic() + PATIENCE, ""
    while True:
        try:
            state, text = redis.run(_READ, _keys(key), [holder, LEASE, useless])
        except redis.Down:
            return ask().text
        if state == KEPT:
            found = _opened(tenant_id, key, text)
            if found not in ("", instead_of):
                return found
            useless = text
            continue
        if state == YOURS:
            return _asked(tenant_id, key, holder, ask)
        if state == FAILED and int(text):
            raise Refusal(int(text))
        if state == FAILED or clock.monotonic() > deadline:
            raise Refused(errors.UNAVAILABLE, retry_after=2)
        clock.pause(LOOK)


def is_first(key: str, seconds: int) -> bool:
    """Whether nobody has asked this of the key for so long. Nobody is the first without Redis."""
    try:
        return bool(redis.run(_FIRST, [key], [seconds]))
    except redis.Down:
        return False


def _asked(tenant_id: int, key: str, holder: str, ask: Callable[[], Issued]) -> str:
    try:
        issued = ask()
    except (Refusal, Refused) as error:
        redis.attempt(_FAIL, _keys(key), [holder, getattr(error, "number", 0), PAUSE])
        raise
    sealed = base64.b64encode(field_encryption.seal(tenant_id, key, tenant_id, issued.text)).decode()
    redis.attempt(_KEEP, _keys(key), [holder, sealed, (issued.life - EARLY) * 1000])
    return issued.text


def _opened(tenant_id: int, key: str, text: str) -> str:
    """Return what was sealed, "" where its key is gone."""
    try:
        return field_encryption.unseal(tenant_id, key, tenant_id, base64.b64decode(text))
    except (field_encryption.Unopened, ValueError):
        return ""


def _keys(key: str) -> list[str]:
    """`key` has a hash tag."""
    return [key, f"{key}:lease", f"{key}:failed"]
