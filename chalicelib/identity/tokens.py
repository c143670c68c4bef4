"""Opaque access tokens. MySQL stores the session of a token by the token's hash; Redis caches it for a minute.

A session of staff has the present role of the member of staff, and is invalid while they are disabled. A change of role
or a revocation writes MySQL first, then a tombstone in Redis that outlives every cached copy and makes readers use
MySQL, then an announcement to requests that wait. It takes effect at once, or within 60 s if Redis cannot be reached.

A limited session has Role.LIMITED until its limit is lifted: its owner has to confirm who they are, or staff have to
set up their second factor.

A session of staff ends when it was not used for settings.staff_idle_minutes. The last use is stored with a precision of
a minute, so that few requests write it.
"""

import hashlib
import json
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from chalicelib import clock
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.errors import ApiError
from chalicelib.identity import session_changes
from chalicelib.people.roles import STAFF_ROLES, Role
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

MAX_REMEMBERED_TOKENS = 10_000  # of a process
USE_PRECISION = 3600 * clock.SECOND  # a use is stored if the stored one is older
USE_PRECISION_FOR_STAFF = 60 * clock.SECOND

# The rows of tokens that are valid, apart from those of idle staff. A key never acts for administrators, and for other
# staff only while the hospital allows it; what a revoked key has issued is invalid. Parameters: now, admin.
VALID_TOKENS_SQL = """
    tokens t
    LEFT JOIN staff s ON t.principal LIKE 'user:%%' AND s.user_id = CAST(SUBSTRING(t.principal, 6) AS UNSIGNED)
    LEFT JOIN internal_keys k ON k.key_id = t.key_id AND k.revoked_at IS NULL
    LEFT JOIN tenants n ON n.tenant_id = t.tenant_id
    WHERE t.expires_at > %(now)s AND t.revoked_at IS NULL AND s.disabled_at IS NULL
      AND (t.key_id IS NULL OR (
        k.key_id IS NOT NULL AND (s.user_id IS NULL OR (n.keys_act_for_staff AND s.role <> %(admin)s))
      ))
"""


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a token."""

    tenant_id: int
    principal: str  # user:12 or session:abc
    role: Role  # LIMITED for a limited session
    platform: int  # as stated by the client of document 004
    expires_at: int
    last_used_at: int  # see `record_use`
    key_id: int = 0  # the internal key that issued the token, 0 after a sign-in
    lifted_role: Role | None = None  # of a limited session: its role once the limit is lifted


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom a token belongs, which never changes."""

    tenant_id: int
    principal: str


def issue(tenant_id: int, principal: str, role: Role, platform: int = 0) -> str:
    """Create a session and return its token: 43 URL-safe characters, which are not stored."""
    return issue_in_transaction(mysql.autocommit, tenant_id, principal, role, platform)


def issue_in_transaction(
    tx: Tx,
    tenant_id: int,
    principal: str,
    role: Role,
    platform: int = 0,
    *,
    device: str = "",
    address: str = "",
    key_id: int = 0,
    is_limited: bool = False,
    lifetime: int | None = None,
) -> str:
    """Do the same as `issue` in the transaction that has checked the credentials.

    Args:
        device: User-Agent of the sign-in.
        address: IP address of the sign-in.
        key_id: the internal key that issues the token, 0 for none.
        is_limited: whether the session has Role.LIMITED until `lift_limit`.
        lifetime: microseconds; None for settings.token_days.
    """
    token = secrets.token_urlsafe(32)
    now = clock.now()
    tx.execute(
        """
        INSERT INTO tokens (token_hash, tenant_id, principal, role, platform, is_limited, key_id, device, address,
                            created_at, last_used_at, expires_at)
        VALUES (%(token_hash)s, %(tenant_id)s, %(principal)s, %(role)s, %(platform)s, %(is_limited)s, %(key_id)s,
                %(device)s, %(address)s, %(now)s, %(now)s, %(expires_at)s)
        """,
        token_hash=hash_token(token),
        tenant_id=tenant_id,
        principal=principal.encode(),
        role=role,
        platform=platform,
        is_limited=is_limited,
        key_id=key_id or None,
        device=device,
        address=address.encode(),
        now=now,
        expires_at=now + (lifetime or settings.token_days * clock.DAY),
    )
    return token


def lift_limit(tx: Tx, token_hash: bytes) -> None:
    """Give a limited session its full role. After the commit, call `invalidate_cached_sessions`."""
    tx.execute("UPDATE tokens SET is_limited = 0 WHERE token_hash = %(token_hash)s", token_hash=token_hash)


def find_session(token: str, batch: ScriptBatch | None = None) -> Session | None:
    """Return the valid session of a token, or None.

    Args:
        batch: other scripts to run in the same round trip. Use their replies only if the token is valid.
    """
    if not token:
        return None
    return find_session_by_hash(hash_token(token), batch)


def find_session_by_hash(token_hash: bytes, batch: ScriptBatch | None = None) -> Session | None:
    """Return the valid session of the token with this hash, or None. See `find_session`."""
    session = _find_cached_session(token_hash, batch)
    if session is None or _is_idle(session):  # a use may have been stored after it was cached
        session = _find_stored_session(token_hash)
    if session is None or session.expires_at <= clock.now() or _is_idle(session):
        _owners.pop(token_hash, None)
        return None
    _remember(_owners, token_hash, Owner(session.tenant_id, session.principal))
    return session


def find_last_owner(token: str) -> Owner | None:
    """Return to whom a token belonged when this process last saw it valid: it may have been revoked since."""
    return _owners.get(hash_token(token)) if token else None


def record_use(token_hash: bytes, session: Session) -> None:
    """Store that a request of its owner used a session, with a precision of a minute for staff and an hour for others.

    Failing to store it fails no request: reading messages needs no MySQL.
    """
    now, precision = clock.now(), USE_PRECISION_FOR_STAFF if _is_of_staff(session) else USE_PRECISION
    if now - max(session.last_used_at, _stored_uses.get(token_hash, 0)) < precision:
        return
    _remember(_stored_uses, token_hash, now, replace=True)
    try:
        mysql.autocommit.execute(
            "UPDATE tokens SET last_used_at = %(now)s WHERE token_hash = %(token_hash)s AND last_used_at < %(now)s",
            token_hash=token_hash,
            now=now,
        )
    except ApiError:
        logger.warning("use of a session not stored")


def compute_idle_limit(now: int) -> int:
    """Return the instant before which a session of staff must have been used last to be over; 0 if they never are."""
    limit = settings.staff_idle_minutes * 60 * clock.SECOND
    return now - limit - USE_PRECISION_FOR_STAFF if limit else 0


def _is_idle(session: Session) -> bool:
    return _is_of_staff(session) and session.last_used_at < compute_idle_limit(clock.now())


def _is_of_staff(session: Session) -> bool:
    return (session.lifted_role or session.role) in STAFF_ROLES


T = TypeVar("T")
_owners: dict[bytes, Owner] = {}  # by token hash, oldest first
_stored_uses: dict[bytes, int] = {}  # when this process stored the last use, by token hash, oldest first


def _remember(values: dict[bytes, T], token_hash: bytes, value: T, replace: bool = False) -> None:
    """Add a value for a token to those of this process, and remove the oldest beyond MAX_REMEMBERED_TOKENS."""
    if replace or token_hash not in values:
        values[token_hash] = value
        while len(values) > MAX_REMEMBERED_TOKENS:
            with suppress(KeyError, RuntimeError, StopIteration):  # another thread may remove the same one
                del values[next(iter(values))]


def revoke_by_hash(token_hash: bytes) -> None:
    """Revoke the token with this hash. An unknown or revoked token is ignored."""
    mysql.autocommit.execute(
        "UPDATE tokens SET revoked_at = %(now)s WHERE token_hash = %(token_hash)s AND revoked_at IS NULL",
        now=clock.now(),
        token_hash=token_hash,
    )
    cache.write_tombstone(_build_cache_key(token_hash))
    row = mysql.autocommit.fetch_one(
        "SELECT tenant_id, principal FROM tokens WHERE token_hash = %(token_hash)s", token_hash=token_hash
    )
    if row:
        session_changes.announce(row["tenant_id"], [row["principal"].decode()])


def revoke_all(tx: Tx, tenant_id: int, principal: str, except_hash: bytes = b"") -> None:
    """Revoke all tokens of a principal. After the commit, call `sessions.make_effective`.

    Args:
        except_hash: hash of a token that stays valid.
    """
    tx.execute(
        """
        UPDATE tokens SET revoked_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s AND revoked_at IS NULL
          AND token_hash <> %(except_hash)s
        """,
        now=clock.now(),
        tenant_id=tenant_id,
        principal=principal.encode(),
        except_hash=except_hash,
    )


def shorten(tx: Tx, token_hash: bytes, expires_at: int) -> None:
    """Let a token expire earlier. After the commit, call `invalidate_cached_sessions`."""
    tx.execute(
        "UPDATE tokens SET expires_at = LEAST(expires_at, %(expires_at)s) WHERE token_hash = %(token_hash)s",
        token_hash=token_hash,
        expires_at=expires_at,
    )


def invalidate_cached_sessions(tenant_id: int, principal: str) -> None:
    """Make readers load all sessions of a principal from MySQL. To be called after a change of role or revocation."""
    rows = mysql.autocommit.fetch_all(
        """
        SELECT token_hash FROM tokens
        WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s AND expires_at > %(now)s
        """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        now=clock.now(),
    )
    cache.write_tombstones([_build_cache_key(row["token_hash"]) for row in rows])
    session_changes.announce(tenant_id, [principal])


def invalidate_cached_sessions_of_key(tenant_id: int, key_id: int) -> None:
    """Make readers load all sessions that an internal key began from MySQL. To be called when it is revoked."""
    rows = mysql.autocommit.fetch_all(
        """
        SELECT token_hash, principal FROM tokens
        WHERE key_id = %(key_id)s AND tenant_id = %(tenant_id)s AND expires_at > %(now)s
        """,
        key_id=key_id,
        tenant_id=tenant_id,
        now=clock.now(),
    )
    cache.write_tombstones([_build_cache_key(row["token_hash"]) for row in rows])
    session_changes.announce(tenant_id, sorted({row["principal"].decode() for row in rows}))


def hash_token(token: str) -> bytes:
    """Return the SHA-256 by which a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _build_cache_key(token_hash: bytes) -> str:
    return f"token:3:{{{token_hash.hex()}}}"  # 3: version of the cached value's format


def _find_cached_session(token_hash: bytes, batch: ScriptBatch | None) -> Session | None:
    text = cache.read(_build_cache_key(token_hash), batch)
    if not text or text == cache.TOMBSTONE:
        return None
    return _build_session(*json.loads(text))


def _find_stored_session(token_hash: bytes) -> Session | None:
    row = mysql.autocommit.fetch_one(
        f"""
        SELECT t.tenant_id, t.principal, COALESCE(s.role, t.role) AS role, t.platform, t.expires_at, t.last_used_at,
          COALESCE(t.key_id, 0) AS key_id, t.is_limited
        FROM {VALID_TOKENS_SQL} AND t.token_hash = %(token_hash)s
        """,
        token_hash=token_hash,
        now=clock.now(),
        admin=Role.ADMIN,
    )
    if row is None:
        return None
    copy = [*({**row, "principal": row["principal"].decode()}).values()]
    cache.write(_build_cache_key(token_hash), json.dumps(copy))
    return _build_session(*copy)


def _build_session(
    tenant_id: int,
    principal: str,
    role: str,
    platform: int,
    expires_at: int,
    last_used_at: int,
    key_id: int,
    is_limited: int,
) -> Session:
    """Return a session with the values that are cached, in their order."""
    effective, lifted = (Role.LIMITED, Role(role)) if is_limited else (Role(role), None)
    return Session(tenant_id, principal, effective, platform, expires_at, last_used_at, key_id, lifted)
