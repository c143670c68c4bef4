"""Booking instructions (预约须知) and hotline (客服热线) of a hospital."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.identity.callers import Caller
from chalicelib.wechat import store
from chalicelib.wechat.models import SaveServiceInfoRequest, ServiceInfo

DEFAULTS = store.ServiceInfo(appo_notice="", phone="")


def get(caller: Caller) -> ServiceInfo:
    """Return both texts; they are "" until they are saved."""
    info = store.find_service_info(mysql.autocommit, caller.tenant_id) or DEFAULTS
    return ServiceInfo(appo_notice=info.appo_notice, phone=info.phone)


def save(caller: Caller, changes: SaveServiceInfoRequest) -> None:
    """Change the given fields; omitted ones keep their values."""
    mysql.run_transaction(lambda tx: _save(tx, caller, changes))


def _save(tx: Tx, caller: Caller, changes: SaveServiceInfoRequest) -> None:
    # The tenant's row always exists: locking it keeps both changes when two admins save different fields for the first
    # time.
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=caller.tenant_id)
    before = store.find_service_info(tx, caller.tenant_id) or DEFAULTS
    appo_notice = before.appo_notice if changes.appo_notice is None else changes.appo_notice
    phone = before.phone if changes.phone is None else changes.phone
    store.save_service_info(tx, caller.tenant_id, appo_notice, phone, caller.user_id, clock.now())
