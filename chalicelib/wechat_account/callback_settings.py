"""How WeChat calls us about a hospital's official account: the token and key with which it signs and encrypts."""

from dataclasses import dataclass, field

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.crypto import field_encryption

TABLE = "wechat_callback_settings"
KEY_TABLE = f"{TABLE}.key"  # for which the key is encrypted, so that it cannot take the token's place


@dataclass(frozen=True, slots=True)
class StoredCallbackSettings:
    """The settings as they are stored, encrypted."""

    token_sealed: bytes = field(repr=False)
    key_sealed: bytes | None = field(repr=False)
    verified_at: int | None  # when WeChat first called with them


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """The settings of a hospital."""

    token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)  # "" for plain mode
    verified_at: int | None


def find(tenant_id: int) -> CallbackSettings | None:
    """Return a hospital's settings, None if there are none. Not inside a transaction, unless keys are loaded."""
    stored = find_stored(mysql.autocommit, tenant_id)
    if stored is None:
        return None
    token = field_encryption.decrypt(tenant_id, TABLE, tenant_id, stored.token_sealed)
    key = field_encryption.decrypt(tenant_id, KEY_TABLE, tenant_id, stored.key_sealed) if stored.key_sealed else ""
    return CallbackSettings(token, key, stored.verified_at)


def find_stored(tx: Tx, tenant_id: int, for_update: bool = False) -> StoredCallbackSettings | None:
    """Return a hospital's settings without decrypting them, None if there are none.

    Args:
        for_update: lock the row until the commit.
    """
    row: Row | None = tx.fetch_one(
        f"""
        SELECT token_sealed, key_sealed, verified_at FROM wechat_callback_settings
        WHERE tenant_id = %(tenant_id)s {"FOR UPDATE" if for_update else ""}
        """,
        tenant_id=tenant_id,
    )
    return StoredCallbackSettings(**row) if row else None


def is_verified(tx: Tx, tenant_id: int) -> bool:
    """Return whether WeChat reports to us what became of messages."""
    stored = find_stored(tx, tenant_id)
    return stored is not None and stored.verified_at is not None


def save(tx: Tx, tenant_id: int, token_sealed: bytes, key_sealed: bytes | None, changed_by: int, now: int) -> None:
    """Insert or replace a hospital's settings, which WeChat has not called with yet.

    Args:
        changed_by: user_id of the admin.
    """
    tx.execute(
        """
        INSERT INTO wechat_callback_settings (tenant_id, token_sealed, key_sealed, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(token_sealed)s, %(key_sealed)s, %(changed_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE token_sealed = %(token_sealed)s, key_sealed = %(key_sealed)s, verified_at = NULL,
            changed_by = %(changed_by)s, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        token_sealed=token_sealed,
        key_sealed=key_sealed,
        changed_by=changed_by,
        now=now,
    )


def delete(tx: Tx, tenant_id: int) -> None:
    """Remove a hospital's settings."""
    tx.execute("DELETE FROM wechat_callback_settings WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id)


def mark_verified(tx: Tx, tenant_id: int, now: int) -> None:
    """Record that WeChat has called with the settings."""
    tx.execute(
        """
        UPDATE wechat_callback_settings SET verified_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND verified_at IS NULL
        """,
        tenant_id=tenant_id,
        now=now,
    )
