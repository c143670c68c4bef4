"""The merchant accounts of a hospital at WeChat Pay.

An order is queried and refunded through the account through which it was paid, also after the hospital has changed its
account.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay.types import Merchant
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.settings import settings
from chalicelib.wechat_account import account

TABLE = "wechat_merchants"
COLUMNS = "tenant_id, mch_id, version, sign_type, key_sealed, serial, private_key_sealed, certificate, public_keys"
NOTIFY_PATH = "/pati_service/wechat/pay"
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


def find_active(tenant_id: int) -> Merchant | None:
    """Return the account through which patients pay, None if payment is not set up."""
    official_account = account.find_stored(mysql.autocommit, tenant_id)
    stored = find_active_stored(mysql.autocommit, tenant_id)
    if official_account and stored and settings.public_url:
        return decrypt(stored, official_account.app_id)
    return None


def get_for_order(tenant_id: int, mch_id: str, app_id: str) -> Merchant:
    """Return the account of an order with its current configuration.

    Args:
        app_id: the official account through which the order was made.

    Raises:
        ApiError: 404 if the hospital has no such account.
    """
    stored = find_stored(mysql.autocommit, tenant_id, mch_id)
    if stored is None:
        raise ApiError(errors.NOT_FOUND, "微信支付商户不存在")
    return decrypt(stored, app_id)


def list_all(tenant_id: int) -> list[Merchant]:
    """Return the accounts of a hospital, the active one first."""
    rows = mysql.autocommit.fetch_all(
        f"""
        SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s
        ORDER BY in_use DESC, changed_at DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        limit=MAX_ACCOUNTS,
    )
    return [decrypt(_build_stored(row)) for row in rows]


def list_active_stored(tx: Tx) -> list[StoredMerchant]:
    """Return the active accounts of all tenants."""
    return [_build_stored(row) for row in tx.fetch_all(f"SELECT {COLUMNS} FROM wechat_merchants WHERE in_use = 1")]


def build_notify_url(tenant_id: int, endpoint: str) -> str:
    """Return the address to which WeChat Pay sends notifications, "" if this system has no public address.

    Args:
        endpoint: "notify" for payments, "refund_notify" for refunds.
    """
    return f"{settings.public_url}{NOTIFY_PATH}/{endpoint}/{tenant_id}" if settings.public_url else ""


def lock_tenant(tx: Tx, tenant_id: int) -> None:
    """Serialise changes of a hospital's accounts: concurrent ones could store one account's keys in another's row."""
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)


def find_active_stored(tx: Tx, tenant_id: int) -> StoredMerchant | None:
    """Return the active account of a hospital without decrypting its keys."""
    row = tx.fetch_one(
        f"SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s AND in_use = 1",
        tenant_id=tenant_id,
    )
    return _build_stored(row) if row else None


def find_stored(tx: Tx, tenant_id: int, mch_id: str) -> StoredMerchant | None:
    """Return an account of a hospital without decrypting its keys."""
    row = tx.fetch_one(
        f"SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s",
        tenant_id=tenant_id,
        mch_id=mch_id,
    )
    return _build_stored(row) if row else None


def save(tx: Tx, tenant_id: int, merchant: Merchant, changed_by: int, now: int) -> None:
    """Insert or replace an account and make it the active one. Call lock_tenant before in the same transaction.

    Args:
        changed_by: user_id of the admin.
    """
    tx.execute("UPDATE wechat_merchants SET in_use = NULL WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id)
    tx.execute(
        """
        INSERT INTO wechat_merchants (tenant_id, mch_id, in_use, version, sign_type, key_sealed, serial,
                                      private_key_sealed, certificate, public_keys, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(mch_id)s, 1, %(version)s, %(sign_type)s, %(key_sealed)s, %(serial)s,
                %(private_key_sealed)s, %(certificate)s, %(public_keys)s, %(changed_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE in_use = 1, version = %(version)s, sign_type = %(sign_type)s,
            key_sealed = %(key_sealed)s, serial = %(serial)s, private_key_sealed = %(private_key_sealed)s,
            certificate = %(certificate)s, public_keys = %(public_keys)s, changed_by = %(changed_by)s,
            changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        mch_id=merchant.mch_id,
        version=merchant.version,
        sign_type=merchant.sign_type,
        key_sealed=field_encryption.encrypt(tenant_id, f"{TABLE}.key", int(merchant.mch_id), merchant.key),
        serial=merchant.serial,
        private_key_sealed=field_encryption.encrypt(
            tenant_id, f"{TABLE}.private", int(merchant.mch_id), merchant.private_key
        ),
        certificate=merchant.certificate,
        public_keys=json.dumps(dict(merchant.public_keys)),
        changed_by=changed_by,
        now=now,
    )


def decrypt(stored: StoredMerchant, app_id: str = "") -> Merchant:
    """Return an account with its keys.

    Args:
        app_id: the official account through which it is used; "" if none is needed.
    """
    tenant_id, row_id = stored.tenant_id, int(stored.mch_id)
    return Merchant(
        appid=app_id,
        mch_id=stored.mch_id,
        version=stored.version,
        sign_type=stored.sign_type,
        key=field_encryption.decrypt(tenant_id, f"{TABLE}.key", row_id, stored.key_sealed),
        serial=stored.serial,
        private_key=field_encryption.decrypt(tenant_id, f"{TABLE}.private", row_id, stored.private_key_sealed),
        certificate=stored.certificate,
        public_keys=stored.public_keys,
    )


def _build_stored(row: Row) -> StoredMerchant:
    return StoredMerchant(**{**row, "public_keys": json.loads(row["public_keys"])})
