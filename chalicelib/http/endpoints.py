"""What an endpoint declares: see http/routing.py."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import TypeAdapter

from chalicelib.adapters.redis import ScriptBatch
from chalicelib.errors import ErrorKind
from chalicelib.http.fields import IdempotencyKey
from chalicelib.http.validation_messages import BODY_LABEL
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.rate_limits import RateLimit
from chalicelib.identity.tokens import Owner

View = Callable[..., Any]
PrepareBatch = Callable[[Owner, Any], ScriptBatch]  # the token's owner, and the request's body or query

OptionalTenantCaller = Annotated[Caller, "tenant_id is 0, which has no data, if the request does not name a tenant"]
"""A visitor whose tenant may be unknown; with a plain Caller such a request gets a 400."""

ActingCaller = Annotated[Caller, "replaced by the user whom the messagecenter's headers name"]
"""The user on whose behalf a messagecenter request is made: see identity/acting_user.py."""

IdempotencyKeyHeader = Annotated[IdempotencyKey | None, "Idempotency-Key"]
LastEventIdHeader = Annotated[str | None, "Last-Event-ID"]

RESERVED_PARAMETERS = {
    "caller": "",
    "body": BODY_LABEL,
    "query": "",
    "idempotency_key": "Idempotency-Key",
    "last_event_id": "Last-Event-ID",
    "time_left": "",
    "upload": "file",
    "raw_request": BODY_LABEL,
    "batch": "",
}
"""Parameter names of views that are not path parameters, with the label that validation messages use for each."""


@dataclass(frozen=True)
class Endpoint:
    """One route as declared: what is needed to serve, document and test it."""

    method: str
    path: str
    callers: frozenset[Role]  # roles that may call it
    errors: tuple[ErrorKind, ...]  # in addition to those that every endpoint may return
    view: View
    parameters: dict[str, Any]  # annotation by parameter name of the view
    return_type: Any  # without RawContent, unless that is the only type
    raw_content_type: str  # content type of RawContent that the view returns, "" if it returns none
    prepare_batch: PrepareBatch | None
    limit: RateLimit | None  # on how often a caller may use it
    is_audited: bool  # whether calls with an internal key are added to the audit log

    # Adapters are built for an endpoint's first request: a cold start serves only one of many endpoints.
    @cached_property
    def response_adapter(self) -> TypeAdapter[Any]:
        """Return the adapter that serializes what the view returns."""
        return TypeAdapter(self.return_type)

    @cached_property
    def path_adapters(self) -> dict[str, TypeAdapter[Any]]:
        """Return the adapters of the path parameters by name."""
        return {name: TypeAdapter(kind) for name, kind in self.parameters.items() if name not in RESERVED_PARAMETERS}
