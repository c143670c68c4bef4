"""Who acts in the messagecenter (document 002), whose clients name themselves in headers.

newUserId and entUserId (a member of staff) are user ids, entId the tenant, by its number or as the hospital's own
systems call it, positionId a post, appId the client's own. An internal key is believed, as a trusted upstream; a token
knows who it is, and headers that name somebody else are refused. 0 and "" name nobody.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import persons, posts, tenants

_ID_PATTERN = re.compile("0|[1-9][0-9]{0,14}")
_APP_ID_PATTERN = re.compile(r"[\x21-\x7e]{0,64}")


def resolve_caller(caller: Caller, headers: Mapping[str, str]) -> Caller:
    """Return who acts, with their post and application. headers are case-insensitive by name.

    ApiError 400 for a header that is none, 401 for a key without a person, 403 for somebody else's name, 404 for a
    key's
    person or post that is not there.
    """
    user_id, staff_id, post_id = (_parse_id_header(headers, name) for name in ("newUserId", "entUserId", "positionId"))
    _require_same_tenant(caller, headers.get("entid", ""))
    if caller.role == Role.SERVICE:
        caller, post_id = _resolve_named_user(caller, user_id, staff_id, post_id)
    elif {user_id, staff_id} - {0, caller.user_id} or (staff_id and caller.role == Role.PATIENT):
        raise ApiError(errors.NOT_ALLOWED, "请求头中的用户与登录身份不符")
    if post_id and posts.find_holder_id(mysql.autocommit, caller.tenant_id, post_id) != caller.user_id:
        raise ApiError(errors.NOT_ALLOWED, "positionId：不是本人的岗位")
    app_id = headers.get("appid", "")
    if not _APP_ID_PATTERN.fullmatch(app_id):
        raise ApiError(errors.BAD_PARAMETER, "appId：格式不正确")
    return replace(caller, post_id=post_id, app_id=app_id)


def _parse_id_header(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name.lower(), "").strip() or "0"
    if not _ID_PATTERN.fullmatch(text):
        raise ApiError(errors.BAD_PARAMETER, f"{name}：必须是整数")
    return int(text)


def _require_same_tenant(caller: Caller, ent_id: str) -> None:
    if ent_id in ("", "0", str(caller.tenant_id)):
        return
    named = ent_id.encode("utf-8", "replace")[:64].decode("utf-8", "replace")
    if tenants.find_by_external_id(mysql.autocommit, named) != caller.tenant_id:
        raise ApiError(errors.NOT_ALLOWED, "entId：租户与登录身份不符")


def _resolve_named_user(caller: Caller, user_id: int, staff_id: int, post_id: int) -> tuple[Caller, int]:
    """The person whom a trusted upstream names; a post alone names its holder."""
    if user_id and staff_id and user_id != staff_id:
        raise ApiError(errors.BAD_PARAMETER, "newUserId 与 entUserId：不是同一人")
    who = user_id or staff_id
    if not who and post_id:
        who = posts.find_holder_id(mysql.autocommit, caller.tenant_id, post_id) or 0
    elif not who:
        raise ApiError(errors.TOKEN, "内部密钥须以 newUserId 或 entUserId 指明用户")
    kind = persons.find_role(mysql.autocommit, caller.tenant_id, who)
    if kind is None or (staff_id and kind == Role.PATIENT):
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    return replace(caller, role=kind, principal=f"user:{who}"), post_id
