"""SQL of merchant accounts. Reads return the keys encrypted, so that this module does not use KMS."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.adapters.mysql import Row, Tx

COLUMNS = "tenant_id, mch_id, version, sign_type, key_sealed, serial, private_key_sealed, certificate, public_keys"
MAX_ACCOUNTS = 5  # accounts whose notifications are accepted


@dataclass(frozen=True, slots=True)
class StoredMerchant:
    """An account as it is stored, with its keys encrypted. The fields are those of Merchant."""

    tenant_id: int
    mch_id: str
    version: str
    sign_type: str
    key_sealed: bytes = field(repr=False)
    serial: str
    private_key_sealed: bytes = field(repr=False)
    certificate: str
    public_keys: Mapping[str, str]


def list_for_tenant(tx: Tx, tenant_id: int) -> list[StoredMerchant]:
    """Return the accounts of a hospital, the active one first."""
    rows = tx.fetch_all(
        f"""
        SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s
        ORDER BY in_use DESC, changed_at DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        limit=MAX_ACCOUNTS,
    )
    return [_build_stored(row) for row in rows]


def list_active(tx: Tx) -> list[StoredMerchant]:
    """Return the active accounts of all tenants."""
    return [_build_stored(row) for row in tx.fetch_all(f"SELECT {COLUMNS} FROM wechat_merchants WHERE in_use = 1")]


def find_active(tx: Tx, tenant_id: int) -> StoredMerchant | None:
    """Return the active account of a hospital without decrypting its keys."""
    row = tx.fetch_one(
        f"SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s AND in_use = 1",
        tenant_id=tenant_id,
    )
    return _build_stored(row) if row else None


def find(tx: Tx, tenant_id: int, mch_id: str) -> StoredMerchant | None:
    """Return an account of a hospital without decrypting its keys."""
    row = tx.fetch_one(
        f"SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s",
        tenant_id=tenant_id,
        mch_id=mch_id,
    )
    return _build_stored(row) if row else None


def find_latest_app_id(tx: Tx, tenant_id: int, mch_id: str) -> str:
    """Return the official account of the newest payment through an account, "" if there is none."""
    return str(
        tx.fetch_value(
            """
            SELECT app_id FROM payments
            WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s ORDER BY paid_at DESC LIMIT 1
            """,
            tenant_id=tenant_id,
            mch_id=mch_id,
        )
        or ""
    )


def lock_tenant(tx: Tx, tenant_id: int) -> None:
    """Serialise changes of a hospital's accounts: concurrent ones could store one account's keys in another's row."""
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)


def _build_stored(row: Row) -> StoredMerchant:
    return StoredMerchant(**{**row, "public_keys": json.loads(row["public_keys"])})
