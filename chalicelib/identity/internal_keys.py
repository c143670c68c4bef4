"""Internal keys: how a hospital's own systems identify themselves. A key belongs to one tenant."""

import hashlib
import hmac
import secrets

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError

MAX_LIVE_KEYS = 2  # at once, so that a key can be rotated without a pause


def authenticate(key: str) -> int:
    """Return the tenant a live key belongs to. ApiError 401 for any other."""
    hashed = _hash_key(key)
    row = mysql.autocommit.fetch_one(
        "SELECT tenant_id, key_hash FROM internal_keys WHERE key_hash = %(hashed)s AND revoked_at IS NULL",
        hashed=hashed,
    )
    if row is None or not hmac.compare_digest(row["key_hash"], hashed):
        raise ApiError(errors.TOKEN, "内部密钥无效")
    return int(row["tenant_id"])


def has_live_key(tx: mysql.Tx, tenant_id: int) -> bool:
    """Whether the tenant has a live key."""
    return bool(
        tx.fetch_value(
            "SELECT 1 FROM internal_keys WHERE tenant_id = %(tenant_id)s AND revoked_at IS NULL LIMIT 1",
            tenant_id=tenant_id,
        )
    )


def issue(tenant_id: int, key: str = "") -> str:
    """Store a key (a new one if none is given) and return it; of the tenant's older keys one stays alive."""
    key = key or secrets.token_urlsafe(32)
    mysql.run_transaction(lambda tx: _rotate(tx, tenant_id, _hash_key(key)))
    return key


def _rotate(tx: mysql.Tx, tenant_id: int, hashed: bytes) -> None:
    now = clock.now()
    tx.fetch_one("SELECT tenant_id FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    live = tx.fetch_all(
        """
        SELECT key_hash FROM internal_keys
        WHERE tenant_id = %(tenant_id)s AND revoked_at IS NULL
        ORDER BY created_at DESC
        """,
        tenant_id=tenant_id,
    )
    for row in live[MAX_LIVE_KEYS - 1 :]:
        tx.execute(
            "UPDATE internal_keys SET revoked_at = %(now)s WHERE key_hash = %(hashed)s",
            now=now,
            hashed=row["key_hash"],
        )
    tx.execute(
        """
        INSERT INTO internal_keys (key_hash, tenant_id, created_at)
        VALUES (%(hashed)s, %(tenant_id)s, %(now)s)
        """,
        hashed=hashed,
        tenant_id=tenant_id,
        now=now,
    )


def _hash_key(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
