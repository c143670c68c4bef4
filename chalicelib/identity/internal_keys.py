"""Internal keys: API keys of a hospital's own systems. A key belongs to one tenant.

A key acts for patients and users of external systems, for doctors and service staff only if the hospital allows it, and
never for administrators. The tokens that it has issued end when it is revoked (tokens.VALID_TOKENS_SQL).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.identity import tokens
from chalicelib.people import tenants
from chalicelib.people.roles import STAFF_ROLES, Role

MAX_VALID_KEYS = 2  # per tenant, so that a key can be rotated without an interruption
STAFF_TOKEN_LIFETIME = 12 * 3600 * clock.SECOND  # of a token that a key issues for staff


@dataclass(frozen=True, slots=True)
class InternalKey:
    """A valid key."""

    key_id: int
    tenant_id: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as administrators see it: without the key itself, which is not stored."""

    key_id: int
    created_at: int
    revoked_at: int | None


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


def require_may_act_for(tenant_id: int, role: Role) -> None:
    """Raise ApiError 403 unless the keys of a tenant may act for people with this role."""
    if role == Role.ADMIN:
        raise ApiError(errors.NOT_ALLOWED, "内部密钥不能代表管理员")
    if role in STAFF_ROLES and not tenants.do_keys_act_for_staff(mysql.autocommit, tenant_id):
        raise ApiError(errors.NOT_ALLOWED, "内部密钥不能代表医生和客服：本院管理员尚未允许")


def list_all(tx: mysql.Tx, tenant_id: int) -> list[StoredKey]:
    """Return the keys of a tenant, also the revoked ones, the newest first."""
    rows = tx.fetch_all(
        """
        SELECT key_id, created_at, revoked_at FROM internal_keys WHERE tenant_id = %(tenant_id)s ORDER BY key_id DESC
        """,
        tenant_id=tenant_id,
    )
    return [StoredKey(**row) for row in rows]


def has_valid_key(tx: mysql.Tx, tenant_id: int) -> bool:
    """Return whether the tenant has a valid key."""
    return any(key.revoked_at is None for key in list_all(tx, tenant_id))


def issue(tenant_id: int, key: str = "") -> str:
    """Store a key, by default a random one, and return it. Of the tenant's other keys only the newest stays valid."""
    key = key or secrets.token_urlsafe(32)
    for key_id in mysql.run_transaction(lambda tx: _rotate(tx, tenant_id, _hash_key(key))):
        tokens.invalidate_cached_sessions_of_key(tenant_id, key_id)
    return key


def revoke(tenant_id: int, key_id: int, actor: str) -> None:
    """Revoke a key and with it the tokens that it has issued. Revoking it again changes nothing.

    Args:
        actor: principal of the administrator.

    Raises:
        ApiError: 404 if the tenant has no such key.
    """

    def revoke_once(tx: mysql.Tx) -> None:
        _lock(tx, tenant_id)
        key = next((one for one in list_all(tx, tenant_id) if one.key_id == key_id), None)
        if key is None:
            raise ApiError(errors.NOT_FOUND, "内部密钥不存在")
        if key.revoked_at is None:
            _mark_revoked(tx, tenant_id, key_id, actor)

    mysql.run_transaction(revoke_once)
    tokens.invalidate_cached_sessions_of_key(tenant_id, key_id)


def _rotate(tx: mysql.Tx, tenant_id: int, key_hash: bytes) -> list[int]:
    """Insert a key and return the ids of those that are revoked."""
    _lock(tx, tenant_id)
    valid = [key.key_id for key in list_all(tx, tenant_id) if key.revoked_at is None]
    revoked = valid[MAX_VALID_KEYS - 1 :]
    for key_id in revoked:
        _mark_revoked(tx, tenant_id, key_id, actor="")
    tx.execute(
        """
        INSERT INTO internal_keys (key_hash, tenant_id, created_at)
        VALUES (%(key_hash)s, %(tenant_id)s, %(now)s)
        """,
        key_hash=key_hash,
        tenant_id=tenant_id,
        now=clock.now(),
    )
    return revoked


def _lock(tx: mysql.Tx, tenant_id: int) -> None:
    """Serialize changes of a tenant's keys."""
    tx.fetch_one("SELECT tenant_id FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)


def _mark_revoked(tx: mysql.Tx, tenant_id: int, key_id: int, actor: str) -> None:
    from chalicelib.audit import audit_log  # every function authenticates keys, and hardly any revokes one

    tx.execute(
        "UPDATE internal_keys SET revoked_at = %(now)s WHERE key_id = %(key_id)s AND tenant_id = %(tenant_id)s",
        now=clock.now(),
        key_id=key_id,
        tenant_id=tenant_id,
    )
    tx.execute(  # as the sessions of the key, its openids end, also where they wait to prove whose an account is
        "DELETE FROM wechat_openids WHERE tenant_id = %(tenant_id)s AND key_id = %(key_id)s",
        tenant_id=tenant_id,
        key_id=key_id,
    )
    audit_log.insert_entry(tx, tenant_id, actor, audit_log.AuditAction.REVOKE_KEY, f"key:{key_id}")


def _hash_key(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
