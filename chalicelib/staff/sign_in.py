"""Sign-in of staff."""

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import BAD_CREDENTIALS, ApiError
from chalicelib.identity import attempts, passwords, tokens
from chalicelib.identity.callers import Caller
from chalicelib.people import phones, staff
from chalicelib.people.roles import PersonKind
from chalicelib.staff.models import StaffSignInRequest, StaffSignInResponse


def authenticate(caller: Caller, request: StaffSignInRequest) -> StaffSignInResponse:
    """Return a new token.

    An unknown phone and a wrong password give the same response and take the same time.

    Raises:
        ApiError: 401 for wrong credentials or a disabled member of staff, 429 after too many of them.
    """
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.phone)
    subject = (caller.tenant_id, PersonKind.STAFF, phone_blind, caller.address)
    attempts.consume_password_try(*subject)
    member = staff.find_by_phone(mysql.autocommit, caller.tenant_id, phone_blind)
    matches = passwords.matches(request.password, member.password_hash if member else None)
    if member is None or not matches:
        raise ApiError(BAD_CREDENTIALS)
    attempts.record_success(*subject)
    verified_hash = member.password_hash

    def issue(tx: Tx) -> StaffSignInResponse:
        """Issue a token unless the password has been reset since it was verified."""
        member = staff.find_by_phone(tx, caller.tenant_id, phone_blind, for_update=True)
        if member is None or member.password_hash != verified_hash:
            raise ApiError(BAD_CREDENTIALS)
        token = tokens.issue_in_transaction(
            tx, caller.tenant_id, f"user:{member.user_id}", member.role, device=caller.device, address=caller.address
        )
        return StaffSignInResponse(userId=str(member.user_id), token=token, role=member.role, name=member.name)

    return mysql.run_transaction(issue)
