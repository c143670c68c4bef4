"""Who is asking: a token or an internal key becomes a Caller, or the request is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib import errors
from chalicelib.errors import Refused
from chalicelib.identity import internal_keys, tokens
from chalicelib.people import tenants

PUBLIC = "public"  # anybody, of a tenant
PATIENT = "patient"
DOCTOR = "doctor"
SERVICE_STAFF = "service_staff"
ADMIN = "admin"
SESSION = "session"  # somebody else's user, known to us by an id alone
SERVICE = "service"  # a hospital's own system, by internal key
PARTICIPANTS = (PATIENT, DOCTOR, SERVICE_STAFF, ADMIN, SESSION)  # who may talk and listen
KINDS = (PUBLIC, PATIENT, DOCTOR, SERVICE_STAFF, ADMIN, SESSION, SERVICE)


@dataclass(frozen=True, slots=True)
class Caller:
    """principal names one person or session inside the tenant: user:12 or session:abc; "" if nobody in particular."""

    tenant_id: int
    kind: str
    principal: str = ""
    platform: int = 0
    address: str = ""  # where the request came from
    token: str = ""  # the hash of the token it came with, as hexadecimal text
    post_id: int = 0  # what a member of staff says they act as, 0 nothing in particular
    app_id: str = ""  # through which application, as the client says

    @property
    def user_id(self) -> int:
        """The account's or staff member's id. ValueError for a caller that has none."""
        return int(self.principal.removeprefix("user:"))


def identify(headers: Mapping[str, str], allowed: frozenset[str], address: str = "") -> Caller:
    """Return the caller. Refused 401 without a live token or key, 403 where the kind or tenant does not fit.

    headers are case-insensitive by name.
    """
    if PUBLIC in allowed:
        return _visitor(headers, address)
    if SERVICE in allowed and "x-internal-key" in headers:
        caller = Caller(internal_keys.tenant_of(headers["x-internal-key"]), SERVICE)
    else:
        caller = _signed_in(headers, address)
    if caller.kind not in allowed:
        raise Refused(errors.NOT_ALLOWED)
    same_tenant(headers.get("tenantid", ""), caller)
    return caller


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of a request, "" if it has none."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return headers.get("token", "") or (credential.strip() if scheme.lower() == "bearer" else "")


def _signed_in(headers: Mapping[str, str], address: str) -> Caller:
    token = bearer(headers)
    session = tokens.look_up(token)
    if session is None:
        raise Refused(errors.TOKEN)
    known = (session.tenant_id, session.kind, session.principal, session.platform)
    return Caller(*known, address=address, token=tokens.hashed(token).hex())


def _visitor(headers: Mapping[str, str], address: str) -> Caller:
    """A live token rules; a dead one must not keep its owner from signing in again."""
    session = tokens.look_up(bearer(headers))
    if session is None:
        tenant_id = tenants.of_visitor(headers.get("tenantid", ""), headers.get("host", ""))
        return Caller(tenant_id, PUBLIC, address=address)
    caller = Caller(session.tenant_id, PUBLIC, session.principal, session.platform, address)
    same_tenant(headers.get("tenantid", ""), caller)
    return caller


def same_tenant(named: str, caller: Caller) -> None:
    """Refused 403 where a request names another tenant than its caller's; "" names none."""
    if named and named != str(caller.tenant_id):
        raise Refused(errors.NOT_ALLOWED, "租户与登录身份不符")
