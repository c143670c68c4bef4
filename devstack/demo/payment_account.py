"""The merchant account of a demo hospital at the fake WeChat Pay that bin/dev runs."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay.types import Merchant
from chalicelib.crypto import field_encryption
from chalicelib.payment import merchant_store, merchants
from devstack.fakes import wechat_pay


def seed(external_id: str, tenant_id: int, by: int) -> None:
    """Save the account if there is none, or if its keys belong to another machine, as the member of staff `by`."""
    field_encryption.preload_keys()
    merchant = wechat_pay.create_demo_merchants()[1][external_id]
    mysql.run_transaction(lambda tx: _seed(tx, tenant_id, merchant, by))


def _seed(tx: Tx, tenant_id: int, merchant: Merchant, by: int) -> None:
    merchant_store.lock_tenant(tx, tenant_id)
    stored = merchant_store.find_active(tx, tenant_id)
    if stored is None or merchants.decrypt(stored, merchant.appid) != merchant:
        merchants.save(tx, tenant_id, merchant, by, clock.now())
