"""Authenticate requests: turn a token or internal key into a Caller."""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib import errors
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.errors import ApiError
from chalicelib.identity import internal_keys, rate_limits, tokens
from chalicelib.identity.tokens import Session
from chalicelib.people import tenants
from chalicelib.people.roles import STAFF_ROLES, Role, format_roles

__all__ = ["PARTICIPANT_ROLES", "Caller", "Role", "get_token", "identify", "require_same_tenant"]

MAX_DEVICE_LENGTH = 255
PARTICIPANT_ROLES = (Role.PATIENT, Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN, Role.SESSION)
"""Roles that may take part in conversations."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of a request."""

    tenant_id: int
    role: Role
    principal: str = ""  # unique in the tenant: user:12 or session:abc, "" for a visitor or a hospital's own system
    platform: int = 0  # of the token, as stated by the client of document 004
    address: str = ""  # IP address
    token_hash_hex: str = ""  # hash of the token in hexadecimal, "" for other credentials
    post_id: int = 0  # the post in whose name staff act in the messagecenter, 0 for none
    app_id: str = ""  # the client application, as stated by the client
    key_id: int = 0  # the internal key of the request, or which issued the token; 0 for none
    device: str = ""  # User-Agent

    @property
    def user_id(self) -> int:
        """Return the id of the account or member of staff. Raises ValueError for a caller that is neither."""
        return int(self.principal.removeprefix("user:"))

    @property
    def acts_by_key(self) -> bool:
        """Return whether an internal key makes the request, or has issued the token of a member of staff for it."""
        return bool(self.key_id) and (not self.token_hash_hex or self.role in STAFF_ROLES)


def identify(
    headers: Mapping[str, str],
    allowed: frozenset[Role],
    address: str = "",
    batch: ScriptBatch | None = None,
    *,
    listens: bool = False,
) -> Caller:
    """Return the caller of a request.

    Args:
        headers: with names in lower case or case-insensitive.
        allowed: roles that may call the endpoint. If Role.PUBLIC is among them, credentials are optional. If
            Role.LIMITED is, limited sessions of the other roles may call it too.
        address: the client's IP address.
        batch: other scripts to run in the round trip that checks the token.
        listens: whether the request waits for events: its token is in the query string, and the request, which a page
            sends by itself, does not count as a use of the session.

    Raises:
        ApiError: 401 without a valid token or key, with Retry-After after many such requests from one network; 403 for
            another role or tenant or a limited session, 400 if a visitor's tenant is not known.
    """
    try:
        return _identify(headers, allowed, address, batch, listens)
    except ApiError as error:
        if error.kind is errors.INVALID_TOKEN:
            error.retry_after = rate_limits.count_rejection(address)
        raise


def _identify(
    headers: Mapping[str, str], allowed: frozenset[Role], address: str, batch: ScriptBatch | None, listens: bool
) -> Caller:
    if Role.PUBLIC in allowed:
        return _identify_visitor(headers, address)
    internal_key = headers.get("x-internal-key") if Role.SERVICE in allowed else None
    if internal_key:
        key = internal_keys.authenticate(internal_key)
        caller = Caller(key.tenant_id, Role.SERVICE, address=address, key_id=key.key_id)
    elif not get_token(headers):
        raise ApiError(errors.INVALID_TOKEN, _describe_credentials(allowed, token_in_query=listens))
    else:
        caller = _authenticate_token(headers, allowed, address, batch, listens)
    require_same_tenant(headers.get("tenantid", ""), caller)
    return caller


def get_token(headers: Mapping[str, str]) -> str:
    """Return the token of a request from the header `token` or `Authorization: Bearer`, "" if there is none."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return headers.get("token", "") or (credential.strip() if scheme.lower() == "bearer" else "")


def require_same_tenant(named: str, caller: Caller) -> None:
    """Raise ApiError 403 if a request names another tenant than its caller's; "" names none."""
    if named and named != str(caller.tenant_id):
        raise ApiError(
            errors.NOT_ALLOWED,
            "租户与登录身份不符" if caller.principal or caller.role != Role.PUBLIC else "租户前后不一致",
        )


def _describe_credentials(allowed: frozenset[Role], token_in_query: bool) -> str:
    """Return the error for a request without credentials: which header or parameter takes which."""
    place = "地址参数 token " if token_in_query else "请求头 token（或 Authorization: Bearer）"
    ways = [f"{place}带上登录得到的 token"] if allowed - {Role.SERVICE} else []
    ways += ["请求头 X-Internal-Key 带上内部密钥"] if Role.SERVICE in allowed else []
    return f"未登录：请用{'，或用'.join(ways)}"


def _authenticate_token(
    headers: Mapping[str, str], allowed: frozenset[Role], address: str, batch: ScriptBatch | None, listens: bool
) -> Caller:
    token_hash = tokens.hash_token(get_token(headers))
    session = tokens.find_session_by_hash(token_hash, batch)
    if session is None:
        raise ApiError(errors.INVALID_TOKEN)
    _require_allowed(session, allowed)
    if not listens:
        tokens.record_use(token_hash, session)
    return Caller(
        session.tenant_id,
        session.role,
        session.principal,
        session.platform,
        address=address,
        token_hash_hex=token_hash.hex(),
        key_id=session.key_id,
        device=_get_device(headers),
    )


def _require_allowed(session: Session, allowed: frozenset[Role]) -> None:
    """Raise ApiError 403 unless the session has one of the roles; a limited one needs Role.LIMITED besides."""
    if (session.lifted_role or session.role) not in allowed:
        raise ApiError(errors.NOT_ALLOWED, f"没有权限：仅限{format_roles(allowed - {Role.LIMITED})}")
    if session.role not in allowed:
        raise ApiError(errors.VERIFICATION_REQUIRED)


def _identify_visitor(headers: Mapping[str, str], address: str) -> Caller:
    """Return a caller with Role.PUBLIC. An invalid token is ignored, so that its owner can sign in again."""
    token, device = get_token(headers), _get_device(headers)
    session = tokens.find_session(token)
    if session is None:
        if token:
            rate_limits.count_rejection(address)
        tenant_id = tenants.get_for_visitor(headers.get("tenantid", ""), headers.get("host", ""))
        return Caller(tenant_id, Role.PUBLIC, address=address, device=device)
    caller = Caller(session.tenant_id, Role.PUBLIC, session.principal, session.platform, address, device=device)
    require_same_tenant(headers.get("tenantid", ""), caller)
    return caller


def _get_device(headers: Mapping[str, str]) -> str:
    """Return the User-Agent as it is stored with a session."""
    text = headers.get("user-agent", "").encode("utf-8", "replace").decode()
    return text.replace("\x00", "")[:MAX_DEVICE_LENGTH]
