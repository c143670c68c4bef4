"""Sign-in of staff."""

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import BAD_CREDENTIALS, ApiError
from chalicelib.identity import attempts, passwords, second_factor, tokens
from chalicelib.identity.callers import Caller
from chalicelib.identity.second_factor import RightCode
from chalicelib.people import phones, staff
from chalicelib.people.roles import PersonKind
from chalicelib.people.staff import StaffMember
from chalicelib.settings import settings
from chalicelib.staff.models import StaffSignInRequest, StaffSignInResponse


def authenticate(caller: Caller, request: StaffSignInRequest) -> StaffSignInResponse:
    """Return a new token. Its session is limited if a second factor is required and not set up yet.

    An unknown phone and a wrong password give the same response and take the same time.

    Raises:
        ApiError: 401 for wrong credentials, a disabled member of staff or without the code of a second factor, 429
            after too many of them.
    """
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.phone)
    subject = (caller.tenant_id, PersonKind.STAFF, phone_blind, caller.address)
    attempts.consume_password_try(*subject)
    member = staff.find_by_phone(mysql.autocommit, caller.tenant_id, phone_blind)
    matches = passwords.matches(request.password, member.password_hash if member else None)
    if member is None or not matches:
        raise ApiError(BAD_CREDENTIALS)
    try:
        code = second_factor.check_code(caller.tenant_id, member.user_id, request.otp)
        response = mysql.run_transaction(lambda tx: _issue_token(tx, caller, member, code))
    except ApiError:
        attempts.restore_password_try(*subject)
        raise
    attempts.record_success(*subject)
    if code:
        second_factor.clear_failures(caller.tenant_id, member.user_id)
    return response


def _issue_token(tx: Tx, caller: Caller, verified: StaffMember, code: RightCode | None) -> StaffSignInResponse:
    """Issue a token unless the password has been reset, or the code has been used, since they were verified."""
    member = staff.find_by_phone(tx, caller.tenant_id, verified.phone_blind, for_update=True)
    if member is None or member.password_hash != verified.password_hash:
        raise ApiError(BAD_CREDENTIALS)
    second_factor.use_up(tx, caller.tenant_id, member.user_id, code)
    is_limited = code is None and settings.staff_second_factor
    token = tokens.issue_in_transaction(
        *(tx, caller.tenant_id, f"user:{member.user_id}", member.role),
        device=caller.device,
        address=caller.address,
        is_limited=is_limited,
    )
    return StaffSignInResponse(
        userId=str(member.user_id),
        token=token,
        role=member.role,
        name=member.name,
        must_set_up_second_factor=is_limited,
    )
