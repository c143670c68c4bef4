"""Internal keys: how a hospital's own systems identify themselves. A key belongs to one tenant."""

import hashlib
import hmac
import secrets

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused

LIVE = 2  # at once, so that a key can be rotated without a pause


def tenant_of(key: str) -> int:
    """Return the tenant a live key belongs to. Refused 401 for any other."""
    hashed = _hash(key)
    row = mysql.autocommit(
        lambda tx: tx.one(
            "SELECT tenant_id, key_hash FROM internal_keys WHERE key_hash = %(hashed)s AND revoked_at IS NULL",
            hashed=hashed,
        )
    )
    if row is None or not hmac.compare_digest(row["key_hash"], hashed):
        raise Refused(errors.TOKEN, "内部密钥无效")
    return int(row["tenant_id"])


def has_one(tx: mysql.Tx, tenant_id: int) -> bool:
    """Whether the tenant has a live key."""
    return bool(
        tx.value(
            "SELECT 1 FROM internal_keys WHERE tenant_id = %(tenant_id)s AND revoked_at IS NULL LIMIT 1",
            tenant_id=tenant_id,
        )
    )


def issue(tenant_id: int, key: str = "") -> str:
    """Store a key (a new one if none is given) and return it; of the tenant's older keys one stays alive."""
    key = key or secrets.token_urlsafe(32)
    mysql.transact(lambda tx: _replace(tx, tenant_id, _hash(key)))
    return key


def _replace(tx: mysql.Tx, tenant_id: int, hashed: bytes) -> None:
    now = clock.now()
    tx.one("SELECT tenant_id FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    live = tx.all(
        """
        SELECT key_hash FROM internal_keys
        WHERE tenant_id = %(tenant_id)s AND revoked_at IS NULL
        ORDER BY created_at DESC
        """,
        tenant_id=tenant_id,
    )
    for row in live[LIVE - 1 :]:
        tx.run(
            "UPDATE internal_keys SET revoked_at = %(now)s WHERE key_hash = %(hashed)s",
            now=now,
            hashed=row["key_hash"],
        )
    tx.run(
        """
        INSERT INTO internal_keys (key_hash, tenant_id, created_at)
        VALUES (%(hashed)s, %(tenant_id)s, %(now)s)
        """,
        hashed=hashed,
        tenant_id=tenant_id,
        now=now,
    )


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
