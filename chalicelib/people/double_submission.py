"""Requests that create something and are submitted twice without an idempotency key, as a double tap does.

The second one gets the first one's result. Where a unique key would reject it, or the rows can be compared, the first
one's row is found. Elsewhere a request without a key gets one, under the lock of the sender's row, that consists of
what it contains and when it came, so that the index of the idempotency keys finds an equal, recent one.
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Tx

WINDOW = 5 * clock.SECOND  # in which an equal request of the same sender is the same


def lock_sender(tx: Tx, tenant_id: int, principal: str) -> None:
    """Let equal requests of one sender wait for each other: lock a person's row, or that of the tenant.

    Args:
        principal: user:12; any other, as a session of a hospital's own system, has no row.
    """
    tx.fetch_value(build_lock_sql(principal), **build_lock_params(tenant_id, principal))


def build_lock_sql(principal: str) -> str:
    """Return the statement of `lock_sender`, to be run in a packet with others."""
    if _find_user_id(principal):
        return "SELECT user_id FROM people WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s FOR UPDATE"
    return "SELECT tenant_id FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE"


def build_lock_params(tenant_id: int, principal: str) -> dict[str, int]:
    """Return the parameters of that statement."""
    return {"tenant_id": tenant_id, "user_id": _find_user_id(principal)}


def _find_user_id(principal: str) -> int:
    user_id = principal.removeprefix("user:")
    return int(user_id) if principal.startswith("user:") and user_id.isdigit() else 0


def build_key_range(content_digest: bytes) -> tuple[str, str]:
    """Return the key of a request that comes now, and a bound: a greater key is of an equal and recent request.

    Call it after `lock_sender`: a request that has waited must not be older than the one it waited for.
    """
    now, prefix = clock.now(), f"content:{content_digest.hex()[:40]}:"
    return f"{prefix}{now:016}", f"{prefix}{now - WINDOW:016}"
