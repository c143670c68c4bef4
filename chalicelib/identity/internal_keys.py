"""Internal keys: API keys of a hospital's own systems. A key belongs to one tenant."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError

MAX_VALID_KEYS = 2  # per tenant, so that a key can be rotated without an interruption


@dataclass(frozen=True, slots=True)
class InternalKey:
    """A valid key."""

    key_id: int
    tenant_id: int


def authenticate(key: str) -> InternalKey:
    """Return a valid key. Raises ApiError 401 for any other."""
    key_hash = _hash_key(key)
    row = mysql.autocommit.fetch_one(
        "SELECT key_id, tenant_id, key_hash FROM internal_keys WHERE key_hash = %(key_hash)s AND revoked_at IS NULL",
        key_hash=key_hash,
    )
    if row is None or not hmac.compare_digest(row["key_hash"], key_hash):
        raise ApiError(errors.INVALID_TOKEN, "内部密钥无效")
    return InternalKey(row["key_id"], row["tenant_id"])


def has_valid_key(tx: mysql.Tx, tenant_id: int) -> bool:
    """Return whether the tenant has a valid key."""
    return bool(
        tx.fetch_value(
            "SELECT 1 FROM internal_keys WHERE tenant_id = %(tenant_id)s AND revoked_at IS NULL LIMIT 1",
            tenant_id=tenant_id,
        )
    )


def issue(tenant_id: int, key: str = "") -> str:
    """Store a key, by default a random one, and return it. Of the tenant's other keys only the newest stays valid."""
    key = key or secrets.token_urlsafe(32)
    mysql.run_transaction(lambda tx: _rotate(tx, tenant_id, _hash_key(key)))
    return key


def _rotate(tx: mysql.Tx, tenant_id: int, key_hash: bytes) -> None:
    now = clock.now()
    # Serializes concurrent rotations of the tenant.
    tx.fetch_one("SELECT tenant_id FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    valid = tx.fetch_all(
        """
        SELECT key_hash FROM internal_keys
        WHERE tenant_id = %(tenant_id)s AND revoked_at IS NULL
        ORDER BY created_at DESC
        """,
        tenant_id=tenant_id,
    )
    for row in valid[MAX_VALID_KEYS - 1 :]:
        tx.execute(
            "UPDATE internal_keys SET revoked_at = %(now)s WHERE key_hash = %(key_hash)s",
            now=now,
            key_hash=row["key_hash"],
        )
    tx.execute(
        """
        INSERT INTO internal_keys (key_hash, tenant_id, created_at)
        VALUES (%(key_hash)s, %(tenant_id)s, %(now)s)
        """,
        key_hash=key_hash,
        tenant_id=tenant_id,
        now=now,
    )


def _hash_key(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
