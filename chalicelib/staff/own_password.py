"""Staff enter their password again, and change it."""

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import BAD_PARAMETER, CONFLICT, ApiError
from chalicelib.identity import attempts, password_rules, passwords, sessions
from chalicelib.identity.callers import Caller
from chalicelib.people import staff
from chalicelib.people.roles import PersonKind
from chalicelib.people.staff import StaffMember
from chalicelib.staff.models import ChangeStaffPasswordRequest


def change_password(caller: Caller, request: ChangeStaffPasswordRequest) -> None:
    """Set a password by the old one, and end the other sessions of the member of staff.

    Raises:
        ApiError: 400 if the old password is wrong or the new one too weak, 409 if a concurrent request has changed it,
            429 after too many wrong ones.
    """
    member = require_password(caller, "oldPassword", request.oldPassword)
    phone = staff.unseal_phone(caller.tenant_id, caller.user_id, member.phone_sealed)
    require_not_personal("newPassword", request.newPassword, phone, member.name)
    new_hash = passwords.hash_password(request.newPassword)

    def change(tx: Tx) -> None:
        if not staff.set_password(tx, caller.tenant_id, caller.user_id, new_hash, member.password_hash):
            raise ApiError(CONFLICT, "密码刚刚被修改过")
        sessions.end_others(tx, caller)

    mysql.run_transaction(change)
    record_success(caller, member)
    sessions.make_effective(caller.tenant_id, caller.principal)


def require_password(caller: Caller, field: str, password: str) -> StaffMember:
    """Return the member of staff who is signed in if they have entered their password again.

    Call `record_success` once nothing else is wrong, such as the code of the second factor.

    Raises:
        ApiError: 400 if it is wrong, 429 after too many wrong ones.
    """
    member = staff.find(mysql.autocommit, caller.tenant_id, caller.user_id)
    assert member is not None, "a token of staff belongs to a member of staff, and they are not deleted"
    subject = (caller.tenant_id, PersonKind.STAFF, member.phone_blind, caller.address)
    attempts.consume_password_try(*subject)
    if not passwords.matches(password, member.password_hash):
        raise ApiError(BAD_PARAMETER, f"{field}：密码错误")
    attempts.restore_password_try(*subject)
    return member


def record_success(caller: Caller, member: StaffMember) -> None:
    """Record that a member of staff has proved again who they are, so that they are known in the network."""
    attempts.record_success(caller.tenant_id, PersonKind.STAFF, member.phone_blind, caller.address)


def require_not_personal(field: str, password: str, phone: str, name: str) -> None:
    """Raise ApiError 400 if a new password contains its owner's phone or name."""
    try:
        password_rules.require_not_personal(password, phone, name)
    except ValueError as error:
        raise ApiError(BAD_PARAMETER, f"{field}：{error}") from None
