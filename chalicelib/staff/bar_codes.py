"""The card that a patient shows at the desk."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import Refused
from chalicelib.http.routing import Raw
from chalicelib.identity.callers import PATIENT, Caller
from chalicelib.people import bar_code
from chalicelib.staff import store


def bar_code_of(caller: Caller, member_id: int) -> Raw:
    """Refused 404 for another's member, and for one who has no patient file."""
    owner = caller.user_id if caller.kind == PATIENT else None
    pati_id = mysql.autocommit(lambda tx: store.patient_of_member(tx, caller.tenant_id, member_id, owner))
    if pati_id is None:
        raise Refused(errors.NOT_FOUND, "就诊人不存在或尚未建档")
    return Raw("image/png", bar_code.png(str(pati_id)))
