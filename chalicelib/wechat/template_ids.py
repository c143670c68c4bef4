"""By what templates a hospital's messages are sent, as its admin chooses them."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity.callers import Caller
from chalicelib.official import templates
from chalicelib.wechat.models import Template, TemplateSaved


def listed(caller: Caller) -> list[Template]:
    return [Template(**row) for row in mysql.autocommit(lambda tx: templates.listed(tx, caller.tenant_id))]


def save(caller: Caller, saved: TemplateSaved) -> None:
    chosen = (caller.tenant_id, saved.wech_temp_type, saved.wech_temp_id)
    mysql.autocommit(lambda tx: templates.save(tx, *chosen, caller.user_id, clock.now()))
