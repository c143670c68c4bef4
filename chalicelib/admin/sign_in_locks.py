"""Locks after wrong passwords: an admin lifts them, for an account or a member of staff."""

from pydantic import Field

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.http.fields import Id, Reason, WireModel
from chalicelib.identity import attempts
from chalicelib.identity.callers import Caller
from chalicelib.people import staff
from chalicelib.people.roles import PersonKind


class UnlockSignInRequest(WireModel):
    """Who is locked out, and why the lock is lifted."""

    user_id: Id = Field(description="患者账号或员工的用户编号", examples=["3"])
    reason: Reason = Field(description="解除的原因，记入操作日志", examples=["本人到窗口核实"])


def unlock(caller: Caller, request: UnlockSignInRequest) -> None:
    """Let a person try their password again at once, from all networks. Guesses are counted from zero.

    Raises:
        ApiError: 404 if the tenant has no such person, or they have no phone.
    """
    tenant_id, user_id, kind = caller.tenant_id, request.user_id, PersonKind.STAFF
    member = staff.find(mysql.autocommit, tenant_id, user_id)
    phone_blind = member.phone_blind if member else None
    if member is None:
        kind = PersonKind.PATIENT
        sql = "SELECT phone_blind FROM accounts WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s"
        phone_blind = mysql.autocommit.fetch_value(sql, user_id=user_id, tenant_id=tenant_id)
    if phone_blind is None:
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    audit_log.insert_entry(
        *(mysql.autocommit, tenant_id, caller.principal, AuditAction.UNLOCK_SIGN_IN, f"user:{user_id}"),
        reason=request.reason,
    )
    attempts.unlock(tenant_id, kind, phone_blind)
