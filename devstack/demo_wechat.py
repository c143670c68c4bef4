"""The WeChat account of a demo hospital, at the WeChat that bin/dev starts beside it."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.wechat import store
from chalicelib.wechat_account import account, templates
from devstack import wechat_rules
from devstack.wechat_rules import DEMO

SITES = {"demo": "https://h5.renhe.example", "demo-other": "https://h5.kangning.example"}
SENT = {
    templates.BOOKED: wechat_rules.BOOKED,
    templates.CANCELLED: wechat_rules.CANCELLED,
    templates.REGISTERED: wechat_rules.REGISTERED,
    templates.REVISIT: wechat_rules.REVISIT,
    templates.DOCTOR_REPLY: wechat_rules.ANSWERED,
}
NOTICE, HOTLINE = "请于就诊前 15 分钟到分诊台报到。", "010-12345678"


def fill(external_id: str, tenant_id: int, by: int) -> None:
    """Set up what is not there yet, in the name of a member of staff."""
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _fill(tx, external_id, tenant_id, by))


def _fill(tx: Tx, external_id: str, tenant_id: int, by: int) -> None:
    if account.find_row(tx, tenant_id):
        return
    now, (app_id, secret) = clock.now(), DEMO[external_id]
    sealed = field_encryption.encrypt(tenant_id, account.TABLE, tenant_id, secret)
    account.save(tx, tenant_id, app_id, sealed, SITES[external_id], by, now)
    for kind, template_id in SENT.items():
        templates.save(tx, tenant_id, kind, template_id, by, now)
    store.save_service_info(tx, tenant_id, NOTICE, HOTLINE, by, now)
