"""Opaque tokens: MySQL holds the session by the token's hash, Redis a copy for a minute.

A member of staff has the role of this minute, and none once disabled. Whatever changes that writes MySQL, then a
tombstone that outlives every copy and sends readers to MySQL: it acts at once, or within 60 s where Redis could not be
reached.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.settings import settings


@dataclass(frozen=True, slots=True)
class Session:
    tenant_id: int
    principal: str
    role: str
    platform: int
    expires_at: int


def issue(tenant_id: int, principal: str, kind: str, platform: int = 0) -> str:
    """Return a new token: 43 URL-safe characters, known to its owner alone."""
    return issue_in_transaction(mysql.autocommit, tenant_id, principal, kind, platform)


def issue_in_transaction(tx: Tx, tenant_id: int, principal: str, kind: str, platform: int = 0) -> str:
    """The same, in the transaction that has looked whether they may have one."""
    token = secrets.token_urlsafe(32)
    now = clock.now()
    tx.execute(
        """
        INSERT INTO tokens (token_hash, tenant_id, principal, kind, platform, created_at, expires_at)
        VALUES (%(token_hash)s, %(tenant_id)s, %(principal)s, %(kind)s, %(platform)s, %(now)s, %(expires_at)s)
        """,
        token_hash=hash_token(token),
        tenant_id=tenant_id,
        principal=principal.encode(),
        kind=kind,
        platform=platform,
        now=now,
        expires_at=now + settings.token_days * clock.DAY,
    )
    return token


def find_session(token: str) -> Session | None:
    """Return the live session of a token, or None."""
    if not token:
        return None
    return find_session_by_hash(hash_token(token))


def find_session_by_hash(token_hash: bytes) -> Session | None:
    """Return the live session of a token that is known by its hash alone."""
    session = _find_cached_session(token_hash) or _find_stored_session(token_hash)
    return session if session and session.expires_at > clock.now() else None


def revoke_by_hash(token_hash: bytes) -> None:
    """End the session of a token that is known by its hash. Twice, or one that never was, changes nothing."""
    mysql.autocommit.execute(
        "UPDATE tokens SET revoked_at = %(now)s WHERE token_hash = %(hashed)s AND revoked_at IS NULL",
        now=clock.now(),
        hashed=token_hash,
    )
    cache.write_tombstone(_build_cache_key(token_hash))


def revoke_all(tx: Tx, tenant_id: int, principal: str) -> None:
    """End every session of a person. After the commit: reconsider()."""
    tx.execute(
        """
        UPDATE tokens SET revoked_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s AND revoked_at IS NULL
        """,
        now=clock.now(),
        tenant_id=tenant_id,
        principal=principal.encode(),
    )


def invalidate_cached_sessions(tenant_id: int, principal: str) -> None:
    """MySQL says something else of this person than a minute ago: have each of their tokens read from there."""
    rows = mysql.autocommit.fetch_all(
        """
            SELECT token_hash FROM tokens
            WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s AND expires_at > %(now)s
            """,
        tenant_id=tenant_id,
        principal=principal.encode(),
        now=clock.now(),
    )
    for row in rows:
        cache.write_tombstone(_build_cache_key(row["token_hash"]))


def hash_token(token: str) -> bytes:
    """What a token is known by: who reads it can sign nobody in."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _build_cache_key(hashed: bytes) -> str:
    return f"token:1:{{{hashed.hex()}}}"  # 1: another shape of the copy has another number


def _find_cached_session(hashed: bytes) -> Session | None:
    copy = cache.read(_build_cache_key(hashed))
    return Session(*json.loads(copy)) if copy and copy != cache.TOMBSTONE else None


def _find_stored_session(hashed: bytes) -> Session | None:
    row = mysql.autocommit.fetch_one(
        """
            SELECT t.tenant_id, t.principal, COALESCE(s.role, t.kind) AS kind, t.platform, t.expires_at
            FROM tokens t
            LEFT JOIN staff s
                ON t.principal LIKE 'user:%%' AND s.user_id = CAST(SUBSTRING(t.principal, 6) AS UNSIGNED)
            WHERE t.token_hash = %(hashed)s AND t.revoked_at IS NULL AND s.disabled_at IS NULL
            """,
        hashed=hashed,
    )
    if row is None:
        return None
    principal = row["principal"].decode()
    session = Session(row["tenant_id"], principal, row["kind"], row["platform"], row["expires_at"])
    copy = [session.tenant_id, principal, session.role, session.platform, session.expires_at]
    cache.write(_build_cache_key(hashed), json.dumps(copy))
    return session
