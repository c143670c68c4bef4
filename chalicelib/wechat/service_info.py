"""预约须知 and 客服热线: what a hospital tells everybody who books."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity.callers import Caller
from chalicelib.wechat import store
from chalicelib.wechat.models import ServiceInfo, ServiceInfoSaved

DEFAULTS = {"appo_notice": "", "phone": ""}


def get(caller: Caller) -> ServiceInfo:
    return ServiceInfo(**store.find_service_info(mysql.autocommit, caller.tenant_id) or DEFAULTS)


def save(caller: Caller, saved: ServiceInfoSaved) -> None:
    """Change what is given; what is left out stays as it is."""
    mysql.run_transaction(lambda tx: _save(tx, caller, saved))


def _save(tx: Tx, caller: Caller, saved: ServiceInfoSaved) -> None:
    # The tenant's row, which is always there: two who save different fields for the first time keep both.
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=caller.tenant_id)
    before = store.find_service_info(tx, caller.tenant_id) or DEFAULTS
    changed = {**before, **saved.model_dump(exclude_none=True)}
    store.save_service_info(tx, caller.tenant_id, **changed, by=caller.user_id, now=clock.now())
