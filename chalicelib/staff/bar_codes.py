"""Bar codes of patient numbers, which patients show at the front desk."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.http.routing import RawContent
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import bar_code
from chalicelib.staff import store


def get_bar_code(caller: Caller, member_id: int) -> RawContent:
    """Return the number of a member's patient file as a PNG of a Code 128 bar code.

    Raises:
        ApiError: 404 if the tenant has no such member, it has no patient file, or a patient requests the member of
            another account.
    """
    owner = caller.user_id if caller.role == Role.PATIENT else None
    pati_id = store.find_patient_of_member(mysql.autocommit, caller.tenant_id, member_id, owner)
    if pati_id is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在或尚未建档")
    return RawContent("image/png", bar_code.render_png(str(pati_id)))
