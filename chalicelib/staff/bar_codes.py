"""Bar codes of patient numbers, which patients show at the front desk.

An `<img>` sends no headers, and a session's token does not belong in a URL. So a page requests a link with a ticket: it
names one member, is valid for half an hour, shows this bar code and nothing else.
"""

import hmac

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http.routing import RawContent
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import bar_code
from chalicelib.staff import store
from chalicelib.staff.models import BarCodeLink

PICTURE_PATH = "/pati_service/wechat/bar_code"
LINK_LIFETIME_SECONDS = 30 * 60
PURPOSE = "bar_code_link"  # of the keyed hash that signs a ticket


def get_bar_code(caller: Caller, member_id: int) -> RawContent:
    """Return the number of a member's patient file as a PNG of a Code 128 bar code.

    Raises:
        ApiError: 404 if the tenant has no such member, it was removed, it has no patient file, or a patient requests
            the member of another account.
    """
    return _render(_get_patient_number(caller, member_id))


def create_link(caller: Caller, member_id: int) -> BarCodeLink:
    """Return a link to the bar code that works without headers. Raises as `get_bar_code` does."""
    _get_patient_number(caller, member_id)
    expires_at = clock.now() // clock.SECOND + LINK_LIFETIME_SECONDS
    signature = _sign(caller.tenant_id, member_id, expires_at)
    return BarCodeLink(url=f"{PICTURE_PATH}?ticket={caller.tenant_id}.{member_id}.{expires_at}.{signature}")


def get_bar_code_by_ticket(ticket: str) -> RawContent:
    """Return the bar code of the member whom a ticket names.

    Raises:
        ApiError: 403 if the ticket has expired or is not one of ours, 404 if the member was removed or has no patient
            file any more.
    """
    tenant_id, member_id, expires_at = (int(part) for part in ticket.split(".")[:3])
    is_genuine = hmac.compare_digest(_sign(tenant_id, member_id, expires_at), ticket.rpartition(".")[2])
    if not is_genuine or expires_at * clock.SECOND <= clock.now():
        raise ApiError(errors.NOT_ALLOWED, "链接已失效，请重新获取")
    return _render(_get_patient_number(Caller(tenant_id, Role.SERVICE_STAFF), member_id))


def _get_patient_number(caller: Caller, member_id: int) -> int:
    owner = caller.user_id if caller.role == Role.PATIENT else None
    pati_id = store.find_patient_of_member(mysql.autocommit, caller.tenant_id, member_id, owner)
    if pati_id is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在或尚未建档")
    return pati_id


def _sign(tenant_id: int, member_id: int, expires_at: int) -> str:
    return field_encryption.compute_blind_index(tenant_id, PURPOSE, f"{member_id}:{expires_at}").hex()


def _render(pati_id: int) -> RawContent:
    return RawContent("image/png", bar_code.render_png(str(pati_id)))
