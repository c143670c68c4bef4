"""The official account of a demo hospital at the fake WeChat that bin/dev runs."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.wechat import store
from chalicelib.wechat_account import account, templates
from chalicelib.wechat_account.templates import TemplateKind, TemplateTable
from devstack.fakes import wechat_endpoints
from devstack.fakes.wechat_endpoints import DEMO_ACCOUNTS

SITE_URLS = {"demo": "https://h5.renhe.example", "demo-other": "https://h5.kangning.example"}
TEMPLATE_IDS: dict[TemplateKind, str] = {
    TemplateKind.BOOKED: wechat_endpoints.BOOKED_TEMPLATE_ID,
    TemplateKind.CANCELLED: wechat_endpoints.CANCELLED_TEMPLATE_ID,
    TemplateKind.REGISTERED: wechat_endpoints.REGISTERED_TEMPLATE_ID,
    TemplateKind.REVISIT: wechat_endpoints.REVISIT_TEMPLATE_ID,
    TemplateKind.DOCTOR_REPLY: wechat_endpoints.ANSWERED_TEMPLATE_ID,
}
SERVICE_NOTICE, HOTLINE = "请于就诊前 15 分钟到分诊台报到。", "010-12345678"


def seed(external_id: str, tenant_id: int, by: int) -> None:
    """Save the account and its templates if there are none, as the member of staff `by`."""
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _seed(tx, external_id, tenant_id, by))


def _seed(tx: Tx, external_id: str, tenant_id: int, by: int) -> None:
    if account.find_stored(tx, tenant_id):
        return
    now, (app_id, secret) = clock.now(), DEMO_ACCOUNTS[external_id]
    sealed = field_encryption.encrypt(tenant_id, account.TABLE, tenant_id, secret)
    account.save(tx, tenant_id, app_id, sealed, SITE_URLS[external_id], by, now)
    for kind, template_id in TEMPLATE_IDS.items():
        templates.save(tx, TemplateTable.MESSAGES, tenant_id, kind, template_id, by, now)
    store.save_service_info(tx, tenant_id, SERVICE_NOTICE, HOTLINE, by, now)
