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
from chalicelib.adapters.wechat_api import IssuedCredential, WechatApiError
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError

REFRESH_MARGIN_SECONDS = 300  # seconds before its end, from which on the issuer gives out the next one
LEASE_MILLISECONDS = 8_000  # milliseconds: its holder is taken for dead then
WAIT_TIMEOUT_SECONDS = 10.0  # seconds that others wait
POLL_INTERVAL_SECONDS = 0.03  # seconds between two looks
FAILURE_TTL_MILLISECONDS = 2_000  # milliseconds after a failure
CACHED, ACQUIRED, FAILED, WAIT = "kept", "yours", "failed", "wait"

_READ_SCRIPT = Script("""
    local kept = redis.call('GET', KEYS[1])
    if kept and kept ~= ARGV[3] then return {'kept', kept} end
    local failed = redis.call('GET', KEYS[3])
    if failed then return {'failed', failed} end
    if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'yours', ''} end
    return {'wait', ''}
""")
_STORE_SCRIPT = Script("""
    if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
    redis.call('DEL', KEYS[1], KEYS[2])
    if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
""")
_CLAIM_SCRIPT = Script("return redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) and 1")
_FAIL_SCRIPT = Script("""
    if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
    redis.call('DEL', KEYS[2])
    redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
""")


def get_or_fetch(tenant_id: int, key: str, ask: Callable[[], IssuedCredential], instead_of: str = "") -> str:
    """Return what is kept under a key, asked for now if need be, or if it is `instead_of`, which is good no more.

    Raises what `ask` raises; ApiError(UNAVAILABLE).
    """
    holder, deadline, useless = secrets.token_hex(8), clock.monotonic() + WAIT_TIMEOUT_SECONDS, ""
    while True:
        try:
            state, text = redis.run_script(_READ_SCRIPT, _build_keys(key), [holder, LEASE_MILLISECONDS, useless])
        except redis.RedisUnavailableError:
            return ask().value
        if state == CACHED:
            found = _decrypt(tenant_id, key, text)
            if found not in ("", instead_of):
                return found
            useless = text
            continue
        if state == ACQUIRED:
            return _fetch_and_store(tenant_id, key, holder, ask)
        if state == FAILED and int(text):
            raise WechatApiError(int(text))
        if state == FAILED or clock.monotonic() > deadline:
            raise ApiError(errors.UNAVAILABLE, retry_after=2)
        clock.sleep(POLL_INTERVAL_SECONDS)


def claim_once(key: str, seconds: int) -> bool:
    """Whether nobody has asked this of the key for so long. Nobody is the first without Redis."""
    try:
        return bool(redis.run_script(_CLAIM_SCRIPT, [key], [seconds]))
    except redis.RedisUnavailableError:
        return False


def _fetch_and_store(tenant_id: int, key: str, holder: str, ask: Callable[[], IssuedCredential]) -> str:
    try:
        issued = ask()
    except (WechatApiError, ApiError) as error:
        redis.try_script(
            _FAIL_SCRIPT, _build_keys(key), [holder, getattr(error, "errcode", 0), FAILURE_TTL_MILLISECONDS]
        )
        raise
    sealed = base64.b64encode(field_encryption.encrypt(tenant_id, key, tenant_id, issued.value)).decode()
    redis.try_script(
        _STORE_SCRIPT, _build_keys(key), [holder, sealed, (issued.lifetime_seconds - REFRESH_MARGIN_SECONDS) * 1000]
    )
    return issued.value


def _decrypt(tenant_id: int, key: str, text: str) -> str:
    """Return what was sealed, "" where its key is gone."""
    try:
        return field_encryption.decrypt(tenant_id, key, tenant_id, base64.b64decode(text))
    except (field_encryption.DecryptionError, ValueError):
        return ""


def _build_keys(key: str) -> list[str]:
    """`key` has a hash tag."""
    return [key, f"{key}:lease", f"{key}:failed"]
