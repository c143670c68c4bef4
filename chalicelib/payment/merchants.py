"""A hospital's accounts at WeChat Pay. What is paid through one is asked for, and goes back, through the same one."""

import json

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay.types import Merchant
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.settings import settings
from chalicelib.wechat_account import account

TABLE = "wechat_merchants"
COLUMNS = "mch_id, in_use, version, sign_type, key_sealed, serial, private_key_sealed, certificate, public_keys"
NOTIFY_PATH = "/pati_service/wechat/pay"


def find_active(tenant_id: int) -> Merchant | None:
    """Return the account that patients pay through now, None where payment is not set up."""
    ours = account.find_stored(mysql.autocommit, tenant_id)
    row = find_active_row(mysql.autocommit, tenant_id)
    return decrypt_row(tenant_id, row, ours.app_id) if ours and row and settings.public_url else None


def get_for_payment(payment: Row) -> Merchant:
    """Return the account that an order was made at, as it is set up now. ApiError 404 where it is gone."""
    tenant_id, mch_id = payment["tenant_id"], payment["mch_id"]
    row = find_row(mysql.autocommit, tenant_id, mch_id)
    if row is None:
        raise ApiError(errors.NOT_FOUND, "微信支付商户不存在")
    return decrypt_row(tenant_id, row, payment["app_id"])


def list_all(tenant_id: int) -> list[Merchant]:
    """Return all of a hospital's accounts, the one in use first."""
    rows = _list_rows(mysql.autocommit, tenant_id)
    return [decrypt_row(tenant_id, row) for row in rows]


def build_notify_url(tenant_id: int, what: str) -> str:
    """Return where WeChat tells of payments (notify) or refunds (refund_notify), "" where the world cannot find us."""
    return f"{settings.public_url}{NOTIFY_PATH}/{what}/{tenant_id}" if settings.public_url else ""


def lock_tenant(tx: Tx, tenant_id: int) -> None:
    """Change a hospital's accounts one at a time: of two at once one would write its keys into the other's row."""
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)


def find_active_row(tx: Tx, tenant_id: int) -> Row | None:
    return tx.fetch_one(
        f"SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s AND in_use = 1",
        tenant_id=tenant_id,
    )


def find_row(tx: Tx, tenant_id: int, mch_id: str) -> Row | None:
    return tx.fetch_one(
        f"SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s",
        tenant_id=tenant_id,
        mch_id=mch_id,
    )


def save(tx: Tx, tenant_id: int, merchant: Merchant, by: int, now: int) -> None:
    """Have patients pay through this account from now on, in a transaction that holds the hospital's."""
    tx.execute("UPDATE wechat_merchants SET in_use = NULL WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id)
    tx.execute(
        """
        INSERT INTO wechat_merchants (tenant_id, mch_id, in_use, version, sign_type, key_sealed, serial,
                                      private_key_sealed, certificate, public_keys, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(mch_id)s, 1, %(version)s, %(sign_type)s, %(key_sealed)s, %(serial)s,
                %(private_key_sealed)s, %(certificate)s, %(public_keys)s, %(by)s, %(now)s)
        ON DUPLICATE KEY UPDATE in_use = 1, version = %(version)s, sign_type = %(sign_type)s,
            key_sealed = %(key_sealed)s, serial = %(serial)s, private_key_sealed = %(private_key_sealed)s,
            certificate = %(certificate)s, public_keys = %(public_keys)s, changed_by = %(by)s, changed_at = %(now)s
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
        by=by,
        now=now,
    )


def _list_rows(tx: Tx, tenant_id: int) -> list[Row]:
    return tx.fetch_all(
        f"""
        SELECT {COLUMNS} FROM wechat_merchants WHERE tenant_id = %(tenant_id)s
        ORDER BY in_use DESC, changed_at DESC LIMIT 5
        """,
        tenant_id=tenant_id,
    )


def decrypt_row(tenant_id: int, row: Row, app_id: str = "") -> Merchant:
    number = int(row["mch_id"])
    return Merchant(
        appid=app_id,
        mch_id=row["mch_id"],
        version=row["version"],
        sign_type=row["sign_type"],
        key=field_encryption.decrypt(tenant_id, f"{TABLE}.key", number, row["key_sealed"]),
        serial=row["serial"],
        private_key=field_encryption.decrypt(tenant_id, f"{TABLE}.private", number, row["private_key_sealed"]),
        certificate=row["certificate"],
        public_keys=json.loads(row["public_keys"]),
    )
