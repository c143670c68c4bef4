"""Administration of staff. Changes take effect on open sessions at once, and are added to the audit log."""

from collections.abc import Callable

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity import attempts, passwords, second_factor, sessions, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import doctors, double_submission, formatting, phones, staff
from chalicelib.people.roles import PersonKind
from chalicelib.staff import list_store, own_password
from chalicelib.staff.staff_models import (
    ChangeStaffDetailsRequest,
    ChangeStaffRoleRequest,
    CreateStaffRequest,
    CreateStaffResponse,
    ListedStaff,
    ResetStaffPasswordRequest,
    StaffListQuery,
    StaffReference,
)

NOT_FOUND_TEXT = "员工不存在"


def search(caller: Caller, query: StaffListQuery) -> Page[ListedStaff]:
    """Return a page of the tenant's staff, including disabled members, with masked phone numbers."""
    limits = (query.offset, query.page_size)
    total, found = list_store.list_staff(mysql.autocommit, caller.tenant_id, query.name, query.role, limits)
    listed = [
        ListedStaff(
            user_id=str(member.user_id),
            name=member.name,
            role=member.role,
            phone=formatting.mask_phone(staff.unseal_phone(caller.tenant_id, member.user_id, member.phone_sealed)),
            disabled=member.disabled_at is not None,
            second_factor=member.has_second_factor,
            create_time=clock.format_wire_time(member.created_at),
        )
        for member in found
    ]
    return Page[ListedStaff].build(query, total, listed)


def create(caller: Caller, request: CreateStaffRequest) -> CreateStaffResponse:
    """Create a member of staff. A double click creates one.

    Raises:
        ApiError: 400 if the password contains the phone or name, 409 if the tenant has a member of staff with this
            phone.
    """
    own_password.require_not_personal("password", request.password, request.phone, request.name)
    field_encryption.preload_keys()
    password_hash = passwords.hash_password(request.password)
    try:
        user_id = mysql.run_transaction(lambda tx: _insert_staff(tx, caller, request, password_hash))
    except mysql.DuplicateKeyError:
        earlier = _find_double_submission(caller, request)
        if earlier is None:
            raise ApiError(errors.CONFLICT, "该手机号已有员工使用") from None
        user_id = earlier
    return CreateStaffResponse(user_id=str(user_id))


def _find_double_submission(caller: Caller, request: CreateStaffRequest) -> int | None:
    """Return the member of staff that an equal request has just created, or None."""
    since = clock.now() - double_submission.WINDOW
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.phone)
    found = staff.find_by_phone(mysql.autocommit, caller.tenant_id, phone_blind, created_since=since)
    if found is None or (found.name, found.role) != (request.name, request.role):
        return None
    return found.user_id if passwords.matches(request.password, found.password_hash) else None


def change_role(caller: Caller, request: ChangeStaffRoleRequest) -> None:
    """Change a role. Admins cannot change their own, so that a tenant always has one.

    Raises:
        ApiError: 404 if the tenant has no such member of staff, 409 for the caller's own role.
    """
    _require_not_self(caller, request)
    _update_staff(
        caller, request, lambda tx: _set_role(tx, caller.tenant_id, request), change="role", role=request.role
    )


def change_details(caller: Caller, request: ChangeStaffDetailsRequest) -> None:
    """Change name and phone of a member of staff. A repeated request changes nothing. Open sessions stay.

    Raises:
        ApiError: 404 if the tenant has no such member of staff, 409 if another one has the phone.
    """
    field_encryption.preload_keys()

    def work(tx: Tx) -> None:
        changed = staff.change_details(tx, caller.tenant_id, request.user_id, request.name, request.phone)
        if changed is None:
            raise ApiError(errors.NOT_FOUND, NOT_FOUND_TEXT)
        if changed:  # the audit log contains no names and phones
            _record(tx, caller, request.user_id, AuditAction.CHANGE_STAFF, change=" ".join(changed))

    try:
        mysql.run_transaction(work)
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该手机号已有员工使用") from None


def disable(caller: Caller, request: StaffReference) -> None:
    """Disable a member of staff, and revoke their tokens: enabling them again revives none.

    Raises:
        ApiError: 404 if the tenant has no such member of staff, 409 for the caller.
    """
    _require_not_self(caller, request)
    _update_staff(caller, request, lambda tx: _disable(tx, caller.tenant_id, request.user_id), change="disabled")


def enable(caller: Caller, request: StaffReference) -> None:
    """Enable a disabled member of staff.

    Raises:
        ApiError: 404 if the tenant has no such member of staff.
    """
    tenant_id, user_id = caller.tenant_id, request.user_id
    _update_staff(caller, request, lambda tx: staff.set_disabled(tx, tenant_id, user_id, False), change="enabled")


def reset_password(caller: Caller, request: ResetStaffPasswordRequest) -> None:
    """Set a password, revoke every token of the member of staff and unlock their phone.

    Raises:
        ApiError: 400 if the password contains the phone or name, 404 if the tenant has no such member of staff.
    """
    tenant_id, user_id = caller.tenant_id, request.user_id
    member = staff.find(mysql.autocommit, tenant_id, user_id)
    if member is None:
        raise ApiError(errors.NOT_FOUND, NOT_FOUND_TEXT)
    phone = staff.unseal_phone(tenant_id, user_id, member.phone_sealed)
    own_password.require_not_personal("password", request.password, phone, member.name)
    password_hash = passwords.hash_password(request.password)
    action = AuditAction.RESET_STAFF_PASSWORD
    _update_staff(caller, request, lambda tx: _set_password(tx, tenant_id, user_id, password_hash), action)
    second_factor.clear_failures(tenant_id, user_id)
    attempts.unlock(tenant_id, PersonKind.STAFF, member.phone_blind)


def _insert_staff(tx: Tx, caller: Caller, request: CreateStaffRequest, password_hash: bytes) -> int:
    tenant_id, role = caller.tenant_id, Role(request.role)
    user_id = staff.create(tx, tenant_id, role, request.phone, request.name, password_hash)
    if role == Role.DOCTOR:
        doctors.ensure_profile(tx, tenant_id, user_id)
    _record(tx, caller, user_id, AuditAction.CHANGE_STAFF, change="created", role=role)
    return user_id


def _require_not_self(caller: Caller, target: StaffReference) -> None:
    if target.user_id == caller.user_id:
        raise ApiError(errors.CONFLICT, "不能停用自己或更改自己的角色")


def _update_staff(
    caller: Caller,
    target: StaffReference,
    work: Callable[[Tx], bool],
    action: AuditAction = AuditAction.CHANGE_STAFF,
    **detail: str,
) -> None:
    """Change a member of staff and add an entry to the audit log.

    Raises:
        ApiError: 403 if another admin has just disabled or demoted the caller: two who do so to each other at the same
            moment would leave the tenant without one; 404 if `work` returns False.
    """

    def update(tx: Tx) -> None:
        if staff.lock(tx, caller.tenant_id, {caller.user_id, target.user_id}).get(caller.user_id) != Role.ADMIN:
            raise ApiError(errors.NOT_ALLOWED)
        if not work(tx):
            raise ApiError(errors.NOT_FOUND, NOT_FOUND_TEXT)
        _record(tx, caller, target.user_id, action, **detail)

    mysql.run_transaction(update)
    sessions.make_effective(caller.tenant_id, f"user:{target.user_id}")


def _record(tx: Tx, caller: Caller, user_id: int, action: AuditAction, **detail: str) -> None:
    audit_log.insert_entry(
        tx, caller.tenant_id, caller.principal, action, f"user:{user_id}", reason="", key_id=None, **detail
    )


def _disable(tx: Tx, tenant_id: int, user_id: int) -> bool:
    exists = staff.set_disabled(tx, tenant_id, user_id, True)  # locks the row, for which a sign-in waits
    if exists:
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
    return exists


def _set_role(tx: Tx, tenant_id: int, request: ChangeStaffRoleRequest) -> bool:
    role = Role(request.role)
    exists = staff.set_role(tx, tenant_id, request.user_id, role)
    if exists and role == Role.DOCTOR:
        doctors.ensure_profile(tx, tenant_id, request.user_id)
    return exists


def _set_password(tx: Tx, tenant_id: int, user_id: int, password_hash: bytes) -> bool:
    exists = staff.set_password(tx, tenant_id, user_id, password_hash)
    if exists:
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
    return exists
