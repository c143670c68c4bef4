"""The sessions of a person: each can see where they are signed in, and end what they do not know."""

from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.identity import tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.outbox import outbox

ID_BYTES = 8  # of the hash of a token, which name its session to its owner
MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that its owner has not ended."""

    session_id: str
    device: str  # User-Agent of the sign-in, "" for a session that an internal key began
    address: str  # IP address of the sign-in, or of the hospital's own system
    created_at: int
    last_used_at: int
    is_current: bool  # whether it is that of the request


def list_own(caller: Caller) -> list[OpenSession]:
    """Return the caller's valid sessions, at most MAX_LISTED: the last used first."""
    now = clock.now()
    rows = mysql.autocommit.fetch_all(
        f"""
        SELECT t.token_hash, t.device, t.address, t.created_at, t.last_used_at
        FROM {tokens.VALID_TOKENS_SQL} AND t.tenant_id = %(tenant_id)s AND t.principal = %(principal)s
          AND (s.user_id IS NULL OR t.last_used_at >= %(idle_limit)s)
        ORDER BY t.last_used_at DESC, t.created_at DESC LIMIT {MAX_LISTED}
        """,
        tenant_id=caller.tenant_id,
        principal=caller.principal.encode(),
        now=now,
        admin=Role.ADMIN,
        idle_limit=tokens.compute_idle_limit(now),
    )
    return [
        OpenSession(
            session_id=row["token_hash"][:ID_BYTES].hex(),
            device=row["device"],
            address=row["address"].decode(),
            created_at=row["created_at"],
            last_used_at=row["last_used_at"],
            is_current=row["token_hash"].hex() == caller.token_hash_hex,
        )
        for row in rows
    ]


def end_own(caller: Caller, session_id: str | None) -> None:
    """End one of the caller's sessions, or all except that of the request. Ending it again changes nothing.

    Args:
        session_id: None ends all others.

    Raises:
        ApiError: 404 if the caller has no such session.
    """
    if session_id is None:
        end_others(mysql.autocommit, caller)
        make_effective(caller.tenant_id, caller.principal)
        return
    token_hash = mysql.autocommit.fetch_value(
        """
        SELECT token_hash FROM tokens
        WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s AND LEFT(token_hash, %(size)s) = %(prefix)s
        """,
        tenant_id=caller.tenant_id,
        principal=caller.principal.encode(),
        size=ID_BYTES,
        prefix=bytes.fromhex(session_id),
    )
    if token_hash is None:
        raise ApiError(errors.NOT_FOUND, "登录会话不存在")
    tokens.revoke_by_hash(token_hash)
    outbox.wake_worker()


def end_others(tx: mysql.Tx, caller: Caller) -> None:
    """End the caller's sessions except that of the request, in the transaction of a change of their password.

    After the commit, call `make_effective`.
    """
    tokens.revoke_all(tx, caller.tenant_id, caller.principal, bytes.fromhex(caller.token_hash_hex))


def end_current(caller: Caller) -> None:
    """End the session of the request: sign out."""
    tokens.revoke_by_hash(bytes.fromhex(caller.token_hash_hex))
    outbox.wake_worker()


def make_effective(tenant_id: int, principal: str) -> None:
    """Make it effective that sessions of a person have ended: caches, requests that wait, open WebSockets."""
    tokens.invalidate_cached_sessions(tenant_id, principal)
    outbox.wake_worker()
