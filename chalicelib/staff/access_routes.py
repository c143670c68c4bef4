"""Endpoints by which staff sign in, and administrators manage staff. routes.py adds the group's others."""

from chalicelib.errors import BAD_CREDENTIALS, CONFLICT, NOT_FOUND, SECOND_FACTOR_REQUIRED, TOO_MANY_REQUESTS
from chalicelib.http import session_fields
from chalicelib.http.fields import Page
from chalicelib.http.routing import RateLimit, Routes
from chalicelib.http.session_fields import EndSessionRequest, ListedSession
from chalicelib.identity import sessions
from chalicelib.identity.callers import Caller, Role
from chalicelib.people.roles import STAFF_ROLES
from chalicelib.staff import access_admin, own_password, own_second_factor, sign_in, staff_admin
from chalicelib.staff.access_models import (
    AuditLogPage,
    AuditLogQuery,
    ConfirmSecondFactorRequest,
    InternalKeyReference,
    InternalKeys,
    InternalKeySettings,
    NewSecondFactor,
    NewSecondFactorRequest,
)
from chalicelib.staff.models import ChangeStaffPasswordRequest, StaffSignInRequest, StaffSignInResponse
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

routes = Routes(__name__)
SIGNED_IN_STAFF = [*STAFF_ROLES, Role.LIMITED]
NOT_FOUND_OR_CONFLICT = [NOT_FOUND, CONFLICT]


@routes.post(
    "/pati_service/manager_service/login",
    callers=[Role.PUBLIC],
    errors=[BAD_CREDENTIALS, SECOND_FACTOR_REQUIRED, TOO_MANY_REQUESTS],
)
def login(caller: Caller, body: StaffSignInRequest) -> StaffSignInResponse:
    """员工登录

    Staff sign in with phone and password. The documents leave this to another system, so the endpoint is our own.
    Five failures for one phone from one address lock it for 15 minutes; where its owner has signed in before, more.
    With a second factor, the right password alone is answered by 10107: send it again with `otp`; five wrong codes lock
    it for 15 minutes. If a second factor is required and not set up, the session is limited to setting it up
    (must_set_up_second_factor).
    """
    return sign_in.authenticate(caller, body)


@routes.post("/pati_service/manager_service/logout", callers=SIGNED_IN_STAFF)
def logout(caller: Caller) -> None:
    """员工退出登录"""
    sessions.end_current(caller)


@routes.post(
    "/pati_service/manager_service/change_password", callers=SIGNED_IN_STAFF, errors=[CONFLICT, TOO_MANY_REQUESTS]
)
def change_password(caller: Caller, body: ChangeStaffPasswordRequest) -> None:
    """员工修改密码

    By the old password. Ends all other sessions of the member of staff.
    """
    own_password.change_password(caller, body)


@routes.post(
    "/pati_service/manager_service/second_factor",
    callers=SIGNED_IN_STAFF,
    errors=[SECOND_FACTOR_REQUIRED, TOO_MANY_REQUESTS],
)
def new_second_factor(caller: Caller, body: NewSecondFactorRequest) -> NewSecondFactor:
    """启用或更换动态验证码

    A secret for an authenticator app (RFC 6238), which second_factor/confirm puts in force. The password is needed
    again and, to replace a secret in force, its code. A double click gets the same secret.
    """
    return own_second_factor.begin(caller, body)


@routes.post(
    "/pati_service/manager_service/second_factor/confirm",
    callers=SIGNED_IN_STAFF,
    errors=[CONFLICT, TOO_MANY_REQUESTS],
)
def confirm_second_factor(caller: Caller, body: ConfirmSecondFactorRequest) -> None:
    """确认动态验证码

    By the first code that the app shows. This session is no longer limited; all others of the member of staff end.
    """
    own_second_factor.confirm(caller, body)


@routes.post("/pati_service/manager_service/second_factor/reset", callers=[Role.ADMIN], errors=NOT_FOUND_OR_CONFLICT)
def reset_second_factor(caller: Caller, body: StaffReference) -> None:
    """重置员工的动态验证码

    Of another member of staff, who has lost the app. Ends their sessions.
    """
    own_second_factor.reset(caller, body)


@routes.get("/pati_service/manager_service/sessions", callers=STAFF_ROLES)
def list_sessions(caller: Caller) -> list[ListedSession]:
    """我的登录会话（员工）

    Where the member of staff is signed in, the last used first; at most 100.
    """
    return session_fields.build_list(sessions.list_own(caller))


@routes.post("/pati_service/manager_service/sessions/end", callers=STAFF_ROLES, errors=[NOT_FOUND])
def end_session(caller: Caller, body: EndSessionRequest) -> None:
    """结束我的登录会话（员工）

    Signs out one device, or all others. Ending a session that has ended changes nothing.
    """
    sessions.end_own(caller, body.session_id)


@routes.get("/pati_service/manager_service/staff_list", callers=[Role.ADMIN], limit=RateLimit.SEARCHES)
def staff_list(caller: Caller, query: StaffListQuery) -> Page[ListedStaff]:
    """员工列表"""
    return staff_admin.search(caller, query)


@routes.post("/pati_service/manager_service/staff", callers=[Role.ADMIN], errors=[CONFLICT])
def create_staff(caller: Caller, body: CreateStaffRequest) -> CreateStaffResponse:
    """新增员工"""
    return staff_admin.create(caller, body)


@routes.post("/pati_service/manager_service/staff_role", callers=[Role.ADMIN], errors=NOT_FOUND_OR_CONFLICT)
def staff_role(caller: Caller, body: ChangeStaffRoleRequest) -> None:
    """更改员工角色

    Takes effect on open sessions at once. Admins cannot change their own role.
    """
    staff_admin.change_role(caller, body)


@routes.post("/pati_service/manager_service/staff_details", callers=[Role.ADMIN], errors=NOT_FOUND_OR_CONFLICT)
def staff_details(caller: Caller, body: ChangeStaffDetailsRequest) -> None:
    """更改员工姓名和手机号

    What is left out stays as it is. The new phone signs in from now on; open sessions stay.
    """
    staff_admin.change_details(caller, body)


@routes.post("/pati_service/manager_service/staff_disable", callers=[Role.ADMIN], errors=NOT_FOUND_OR_CONFLICT)
def staff_disable(caller: Caller, body: StaffReference) -> None:
    """停用员工

    Takes effect on open sessions at once. Admins cannot disable themselves.
    """
    staff_admin.disable(caller, body)


@routes.post("/pati_service/manager_service/staff_enable", callers=[Role.ADMIN], errors=[NOT_FOUND])
def staff_enable(caller: Caller, body: StaffReference) -> None:
    """启用员工"""
    staff_admin.enable(caller, body)


@routes.post("/pati_service/manager_service/staff_password", callers=[Role.ADMIN], errors=[NOT_FOUND])
def staff_password(caller: Caller, body: ResetStaffPasswordRequest) -> None:
    """重置员工密码

    Ends all sessions of the member of staff.
    """
    staff_admin.reset_password(caller, body)


@routes.get("/pati_service/manager_service/internal_keys", callers=[Role.ADMIN])
def list_internal_keys(caller: Caller) -> InternalKeys:
    """内部密钥列表

    The keys of the hospital's own systems, also revoked ones, the newest first. Operators issue them.
    """
    return access_admin.list_keys(caller)


@routes.post("/pati_service/manager_service/internal_key_settings", callers=[Role.ADMIN])
def internal_key_settings(caller: Caller, body: InternalKeySettings) -> None:
    """内部密钥设置

    Whether internal keys may act for doctors and service staff: by default not, for administrators never. Forbidding it
    ends the sessions that keys have begun for them.
    """
    access_admin.save_key_settings(caller, body)


@routes.post("/pati_service/manager_service/revoke_internal_key", callers=[Role.ADMIN], errors=[NOT_FOUND])
def revoke_internal_key(caller: Caller, body: InternalKeyReference) -> None:
    """吊销内部密钥

    Takes effect at once, also on the tokens that the key has issued. Revoking it again changes nothing.
    """
    access_admin.revoke_key(caller, body)


@routes.get("/pati_service/manager_service/audit_log", callers=[Role.ADMIN])
def list_audit_log(caller: Caller, query: AuditLogQuery) -> AuditLogPage:
    """查询操作日志

    What staff, owners of files and the hospital's own systems did, newest first. The next page begins before the last
    entry_id. Reading and changing patient files: access_log.
    """
    return access_admin.list_audit_log(caller, query)
