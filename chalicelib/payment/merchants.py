"""The merchant accounts of a hospital at WeChat Pay.

An order is queried and refunded through the account through which it was paid, also after the hospital has changed its
account.
"""

import json

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay.types import Merchant
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.payment import merchant_store
from chalicelib.payment.merchant_store import StoredMerchant
from chalicelib.settings import settings
from chalicelib.wechat_account import account

TABLE = "wechat_merchants"
NOTIFY_PATH = "/pati_service/wechat/pay"


def find_active(tenant_id: int) -> Merchant | None:
    """Return the account through which patients pay, None if payment is not set up."""
    official_account = account.find_stored(mysql.autocommit, tenant_id)
    stored = merchant_store.find_active(mysql.autocommit, tenant_id)
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
    stored = merchant_store.find(mysql.autocommit, tenant_id, mch_id)
    if stored is None:
        raise ApiError(errors.NOT_FOUND, "微信支付商户不存在")
    return decrypt(stored, app_id)


def get_for_bills(tenant_id: int, mch_id: str) -> Merchant:
    """Return an account with the official account of its latest order, with which v2 signs requests for bills.

    Raises:
        ApiError: 404 if the hospital has no such account.
    """
    official_account = account.find_stored(mysql.autocommit, tenant_id)
    app_id = merchant_store.find_latest_app_id(mysql.autocommit, tenant_id, mch_id)
    return get_for_order(tenant_id, mch_id, app_id or (official_account.app_id if official_account else ""))


def list_all(tenant_id: int) -> list[Merchant]:
    """Return the accounts of a hospital, the active one first."""
    return [decrypt(stored) for stored in merchant_store.list_for_tenant(mysql.autocommit, tenant_id)]


def build_notify_url(tenant_id: int, endpoint: str) -> str:
    """Return the address to which WeChat Pay sends notifications, "" if this system has no public address.

    Args:
        endpoint: "notify" for payments, "refund_notify" for refunds.
    """
    return f"{settings.public_url}{NOTIFY_PATH}/{endpoint}/{tenant_id}" if settings.public_url else ""


def save(tx: Tx, tenant_id: int, merchant: Merchant, changed_by: int, now: int) -> None:
    """Insert or replace an account and make it the active one. Call lock_tenant before in the same transaction.

    Args:
        changed_by: user_id of the admin.
    """
    tx.execute("UPDATE wechat_merchants SET in_use = NULL WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id)
    tx.execute(
        """
        INSERT INTO wechat_merchants (tenant_id, mch_id, in_use, version, sign_type, key_sealed, serial,
                                      private_key_sealed, certificate, public_keys, changed_by, changed_at, created_at)
        VALUES (%(tenant_id)s, %(mch_id)s, 1, %(version)s, %(sign_type)s, %(key_sealed)s, %(serial)s,
                %(private_key_sealed)s, %(certificate)s, %(public_keys)s, %(changed_by)s, %(now)s,
                %(now)s)
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
