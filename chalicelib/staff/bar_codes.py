"""The card that a patient shows at the desk."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.http.routing import RawContent
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import bar_code
from chalicelib.staff import store


def get_bar_code(caller: Caller, member_id: int) -> RawContent:
    """ApiError 404 for another's member, and for one who has no patient file."""
    owner = caller.user_id if caller.role == Role.PATIENT else None
    pati_id = store.find_patient_of_member(mysql.autocommit, caller.tenant_id, member_id, owner)
    if pati_id is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在或尚未建档")
    return RawContent("image/png", bar_code.render_png(str(pati_id)))
