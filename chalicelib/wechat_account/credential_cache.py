"""Cache of credentials that a third party issues, shared by all processes through Redis until shortly before expiry.

Fetches are single-flight: one caller acquires a lease and fetches, the others wait for its result. A lease contains the
id of its holder, so a slow caller whose lease has expired does not overwrite a newer value. After a failure no
caller fetches for FAILURE_TTL_MILLISECONDS. While Redis is down every caller fetches for itself. Values are encrypted:
an access_token works from any address, so a reader of Redis could otherwise write to all followers of the hospital.
"""

import base64
import secrets
from collections.abc import Callable
from enum import StrEnum

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.adapters.redis import load_script
from chalicelib.adapters.wechat_api import IssuedCredential, WechatApiError
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError

REFRESH_MARGIN_SECONDS = 300  # before expiry, from when on WeChat issues the next value
LEASE_MILLISECONDS = 8_000  # afterwards the holder is considered to have failed
WAIT_TIMEOUT_SECONDS = 10.0  # of callers that wait for the holder of the lease
POLL_INTERVAL_SECONDS = 0.03
FAILURE_TTL_MILLISECONDS = 2_000

_READ_SCRIPT = load_script(__file__, "credential_read")
_STORE_SCRIPT = load_script(__file__, "credential_store")
_FAIL_SCRIPT = load_script(__file__, "credential_fail")
_CLAIM_SCRIPT = load_script(__file__, "credential_claim")
_RELEASE_SCRIPT = load_script(__file__, "credential_release")


class ReadState(StrEnum):
    """The first value that credential_read.lua returns."""

    CACHED = "cached"  # followed by the encrypted value
    ACQUIRED = "acquired"  # the caller holds the lease and is to fetch
    FAILED = "failed"  # followed by WeChat's errcode of the latest failure, 0 if it has none
    WAIT = "wait"  # another caller is fetching


def get_or_fetch(tenant_id: int, key: str, fetch: Callable[[], IssuedCredential], rejected_value: str = "") -> str:
    """Return the cached credential, or fetch and cache it.

    Args:
        key: Redis key with a hash tag. It also binds the encrypted value to its place.
        rejected_value: a value that the third party does not accept any more; it is not returned but replaced.

    Raises:
        ApiError: 503 if another caller's fetch failed or takes too long.
        WechatApiError: if another caller's fetch failed with it.
        Exception: what `fetch` raises.
    """
    holder, deadline, unusable = secrets.token_hex(8), clock.monotonic() + WAIT_TIMEOUT_SECONDS, ""
    while True:
        try:
            state, text = redis.run_script(_READ_SCRIPT, _build_keys(key), [holder, LEASE_MILLISECONDS, unusable])
        except redis.RedisUnavailableError:
            return fetch().value
        if state == ReadState.CACHED:
            value = _decrypt(tenant_id, key, text)
            if value not in ("", rejected_value):
                return value
            unusable = text
            continue
        if state == ReadState.ACQUIRED:
            return _fetch_and_store(tenant_id, key, holder, fetch)
        if state == ReadState.FAILED and int(text):
            raise WechatApiError(int(text))
        if state == ReadState.FAILED or clock.monotonic() > deadline:
            raise ApiError(errors.UNAVAILABLE, retry_after=2)
        clock.sleep(POLL_INTERVAL_SECONDS)


def claim_once(key: str, seconds: int) -> bool:
    """Claim a once-per-period flag; return False if it was claimed within `seconds`, or Redis is down."""
    try:
        return bool(redis.run_script(_CLAIM_SCRIPT, [key], [seconds]))
    except redis.RedisUnavailableError:
        return False


def release_claim(key: str) -> None:
    """Undo `claim_once`, because the flag's use failed."""
    redis.try_script(_RELEASE_SCRIPT, [key], [])


def _fetch_and_store(tenant_id: int, key: str, holder: str, fetch: Callable[[], IssuedCredential]) -> str:
    try:
        issued = fetch()
    except (WechatApiError, ApiError) as error:
        errcode = error.errcode if isinstance(error, WechatApiError) else 0
        redis.try_script(_FAIL_SCRIPT, _build_keys(key), [holder, errcode, FAILURE_TTL_MILLISECONDS])
        raise
    sealed = base64.b64encode(field_encryption.encrypt(tenant_id, key, tenant_id, issued.value)).decode()
    ttl_milliseconds = (issued.lifetime_seconds - REFRESH_MARGIN_SECONDS) * 1000
    redis.try_script(_STORE_SCRIPT, _build_keys(key), [holder, sealed, ttl_milliseconds])
    return issued.value


def _decrypt(tenant_id: int, key: str, text: str) -> str:
    """Return the credential, "" if it cannot be decrypted."""
    try:
        return field_encryption.decrypt(tenant_id, key, tenant_id, base64.b64decode(text))
    except (field_encryption.DecryptionError, ValueError):
        return ""


def _build_keys(key: str) -> list[str]:
    """Return the Redis keys of the value, the lease and the latest failure."""
    return [key, f"{key}:lease", f"{key}:failed"]
