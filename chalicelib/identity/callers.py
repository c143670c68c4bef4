"""Who is asking: a token or an internal key becomes a Caller, or the request is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.identity import internal_keys, tokens
from chalicelib.people import tenants
from chalicelib.people.roles import Role

__all__ = ["PARTICIPANT_ROLES", "Caller", "Role", "get_token", "identify", "require_same_tenant"]

PARTICIPANT_ROLES = (
    Role.PATIENT,
    Role.DOCTOR,
    Role.SERVICE_STAFF,
    Role.ADMIN,
    Role.SESSION,
)  # may take part in conversations


@dataclass(frozen=True, slots=True)
class Caller:
    """principal names one person or session inside the tenant: user:12 or session:abc; "" if nobody in particular."""

    tenant_id: int
    role: str
    principal: str = ""
    platform: int = 0
    address: str = ""  # where the request came from
    token_hash_hex: str = ""  # the hash of the token it came with, as hexadecimal text
    post_id: int = 0  # what a member of staff says they act as, 0 nothing in particular
    app_id: str = ""  # through which application, as the client says

    @property
    def user_id(self) -> int:
        """The account's or staff member's id. ValueError for a caller that has none."""
        return int(self.principal.removeprefix("user:"))


def identify(headers: Mapping[str, str], allowed: frozenset[str], address: str = "") -> Caller:
    """Return the caller. ApiError 401 without a live token or key, 403 where the kind or tenant does not fit.

    headers are case-insensitive by name.
    """
    if Role.PUBLIC in allowed:
        return _identify_visitor(headers, address)
    if Role.SERVICE in allowed and "x-internal-key" in headers:
        caller = Caller(internal_keys.authenticate(headers["x-internal-key"]), Role.SERVICE)
    else:
        caller = _authenticate_token(headers, address)
    if caller.role not in allowed:
        raise ApiError(errors.NOT_ALLOWED)
    require_same_tenant(headers.get("tenantid", ""), caller)
    return caller


def get_token(headers: Mapping[str, str]) -> str:
    """Return the token of a request, "" if it has none."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return headers.get("token", "") or (credential.strip() if scheme.lower() == "bearer" else "")


def _authenticate_token(headers: Mapping[str, str], address: str) -> Caller:
    token = get_token(headers)
    session = tokens.find_session(token)
    if session is None:
        raise ApiError(errors.TOKEN)
    known = (session.tenant_id, session.role, session.principal, session.platform)
    return Caller(*known, address=address, token_hash_hex=tokens.hash_token(token).hex())


def _identify_visitor(headers: Mapping[str, str], address: str) -> Caller:
    """A live token rules; a dead one must not keep its owner from signing in again."""
    session = tokens.find_session(get_token(headers))
    if session is None:
        tenant_id = tenants.get_for_visitor(headers.get("tenantid", ""), headers.get("host", ""))
        return Caller(tenant_id, Role.PUBLIC, address=address)
    caller = Caller(session.tenant_id, Role.PUBLIC, session.principal, session.platform, address)
    require_same_tenant(headers.get("tenantid", ""), caller)
    return caller


def require_same_tenant(named: str, caller: Caller) -> None:
    """ApiError 403 where a request names another tenant than its caller's; "" names none."""
    if named and named != str(caller.tenant_id):
        raise ApiError(errors.NOT_ALLOWED, "租户与登录身份不符")
