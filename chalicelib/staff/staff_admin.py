"""Staff, as an admin keeps them: what is changed acts on their open sessions at once."""

from collections.abc import Callable

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity import attempts, passwords, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import doctors, formatting, staff
from chalicelib.people.roles import PersonKind
from chalicelib.staff import list_store
from chalicelib.staff.staff_models import (
    CreatedStaff,
    ListedStaff,
    StaffCreated,
    StaffId,
    StaffListQuery,
    StaffPassword,
    StaffRole,
)


def search(caller: Caller, asked: StaffListQuery) -> Page[ListedStaff]:
    """Return a page of the tenant's staff, the disabled among them, with telephone numbers masked."""
    limits = (asked.offset, asked.page_size)
    total, rows = list_store.list_staff(mysql.autocommit, caller.tenant_id, asked.name, asked.role, limits)
    listed = [
        ListedStaff(
            user_id=row["user_id"],
            name=row["name"],
            role=row["role"],
            phone=formatting.mask_phone(row["phone"]),
            disabled=row["disabled_at"] is not None,
            create_time=clock.format_wire_time(row["created_at"]),
        )
        for row in rows
    ]
    return Page[ListedStaff].build(asked, total, listed)


def create(caller: Caller, created: StaffCreated) -> CreatedStaff:
    """ApiError 409 where the tenant has a member of staff with this phone."""
    password_hash = passwords.hash_password(created.password)
    try:
        user_id = mysql.run_transaction(lambda tx: _insert_staff(tx, caller.tenant_id, created, password_hash))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, "该手机号已有员工使用") from None
    return CreatedStaff(user_id=str(user_id))


def change_role(caller: Caller, changed: StaffRole) -> None:
    """Nobody changes their own: a hospital keeps an admin."""
    _require_not_self(caller, changed)
    _update_staff(caller, changed, lambda tx: _set_role(tx, caller.tenant_id, changed))


def disable(caller: Caller, whom: StaffId) -> None:
    """Lock somebody out. Nobody locks themselves out."""
    _require_not_self(caller, whom)
    _update_staff(caller, whom, lambda tx: staff.set_disabled(tx, caller.tenant_id, whom.user_id, True))


def enable(caller: Caller, whom: StaffId) -> None:
    _update_staff(caller, whom, lambda tx: staff.set_disabled(tx, caller.tenant_id, whom.user_id, False))


def reset_password(caller: Caller, changed: StaffPassword) -> None:
    """Give somebody a new password, and end every session begun with the old one; who was locked out may try again."""
    password_hash = passwords.hash_password(changed.password)
    _update_staff(caller, changed, lambda tx: _set_password(tx, caller.tenant_id, changed.user_id, password_hash))
    phone = staff.get_phone(mysql.autocommit, caller.tenant_id, changed.user_id)
    attempts.unlock(caller.tenant_id, PersonKind.STAFF, phone)


def _insert_staff(tx: Tx, tenant_id: int, created: StaffCreated, password_hash: bytes) -> int:
    user_id = staff.create(tx, tenant_id, created.role, created.phone, created.name, password_hash)
    if created.role == Role.DOCTOR.value:
        doctors.ensure_profile(tx, tenant_id, user_id)
    return user_id


def _require_not_self(caller: Caller, whom: StaffId) -> None:
    if whom.user_id == caller.user_id:
        raise ApiError(errors.CONFLICT, "不能停用自己或更改自己的角色")


def _update_staff(caller: Caller, whom: StaffId, work: Callable[[Tx], bool]) -> None:
    if not mysql.run_transaction(work):
        raise ApiError(errors.NOT_FOUND, "员工不存在")
    tokens.invalidate_cached_sessions(caller.tenant_id, f"user:{whom.user_id}")


def _set_role(tx: Tx, tenant_id: int, changed: StaffRole) -> bool:
    found = staff.set_role(tx, tenant_id, changed.user_id, changed.role)
    if found and changed.role == Role.DOCTOR.value:
        doctors.ensure_profile(tx, tenant_id, changed.user_id)
    return found


def _set_password(tx: Tx, tenant_id: int, user_id: int, password_hash: bytes) -> bool:
    found = staff.set_password(tx, tenant_id, user_id, password_hash)
    if found:
        tokens.revoke_all(tx, tenant_id, f"user:{user_id}")
    return found
