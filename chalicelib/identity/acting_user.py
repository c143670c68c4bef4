"""Determine the acting user of a messagecenter request (document 002), whose clients name the user in headers.

newUserId and entUserId (a member of staff) are user ids; entId is the tenant, by its id or its external_id; positionId
is a post; appId is defined by the client. 0 and "" mean none. A hospital's own system, authenticated by an internal
key, may name any user for whom keys act (internal_keys.py). For a token, the headers must name its own user.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.identity import internal_keys
from chalicelib.identity.callers import Caller
from chalicelib.people import persons, posts, tenants
from chalicelib.people.roles import Role

_ID_PATTERN = re.compile("0|[1-9][0-9]{0,14}")
_APP_ID_PATTERN = re.compile(r"[\x21-\x7e]{0,64}")


def resolve_caller(caller: Caller, headers: Mapping[str, str]) -> Caller:
    """Return the caller with the user, post and application that the headers name.

    Args:
        headers: with case-insensitive names.

    Raises:
        ApiError: 400 for a malformed header, 401 for an internal key without a user, 403 for headers that name another
            user or tenant, another user's post or someone for whom keys do not act, 404 if the user that an internal
            key names does not exist.
    """
    user_id, staff_id, post_id = (_parse_id_header(headers, name) for name in ("newUserId", "entUserId", "positionId"))
    _require_same_tenant(caller, headers.get("entid", ""))
    if caller.role == Role.SERVICE:
        caller = _resolve_named_user(caller, user_id, staff_id, post_id)
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
    external_id = ent_id.encode("utf-8", "replace")[:64].decode("utf-8", "replace")
    if tenants.find_by_external_id(mysql.autocommit, external_id) != caller.tenant_id:
        raise ApiError(errors.NOT_ALLOWED, "entId：租户与登录身份不符")


def _resolve_named_user(caller: Caller, user_id: int, staff_id: int, post_id: int) -> Caller:
    """Return the user that a hospital's own system names; a post alone names its holder."""
    if user_id and staff_id and user_id != staff_id:
        raise ApiError(errors.BAD_PARAMETER, "newUserId 与 entUserId：不是同一人")
    named_id = user_id or staff_id
    if not named_id and post_id:
        named_id = posts.find_holder_id(mysql.autocommit, caller.tenant_id, post_id) or 0
    elif not named_id:
        raise ApiError(errors.INVALID_TOKEN, "内部密钥须以 newUserId 或 entUserId 指明用户")
    role = persons.find_role(mysql.autocommit, caller.tenant_id, named_id)
    if role is None or (staff_id and role == Role.PATIENT):
        raise ApiError(errors.NOT_FOUND, "用户不存在")
    if role == Role.LIMITED:
        raise ApiError(errors.VERIFICATION_REQUIRED)
    internal_keys.require_may_act_for(caller.tenant_id, role)
    return replace(caller, role=role, principal=f"user:{named_id}")
