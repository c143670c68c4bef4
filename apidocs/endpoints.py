"""The endpoints that the groups declare, with their documentation."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from app import GROUPS, load_routes
from chalicelib.errors import (
    BAD_PARAMETER,
    INTERNAL,
    INVALID_TOKEN,
    NOT_ALLOWED,
    TIMED_OUT,
    TOO_LARGE,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA,
    VERIFICATION_REQUIRED,
    ErrorKind,
)
from chalicelib.http.routing import Endpoint
from chalicelib.identity.callers import Role

COMMON_ERRORS = (BAD_PARAMETER, NOT_ALLOWED, TOO_MANY_REQUESTS, INTERNAL, UNAVAILABLE, TIMED_OUT)
LIMITABLE_ROLES = {Role.PATIENT, Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN}  # of people who sign in
BODY_ERRORS = (TOO_LARGE, UNSUPPORTED_MEDIA)
# Published tags and prefixes of operation ids that differ from the name of the package. Generated clients use them.
PUBLISHED_NAMES = {"notify": "gateway", "staff": "clinic"}


@dataclass(frozen=True)
class DocumentedEndpoint:
    """An endpoint with the title and the description of its docstring."""

    group: str
    endpoint: Endpoint

    @property
    def id(self) -> str:
        """Return the operation id. It is unique, because Chalice rejects two views of one module with the same name."""
        return f"{self.group}_{self.endpoint.view.__name__}"

    @property
    def title(self) -> str:
        """Return the first line of the docstring."""
        return self._docstring_parts[0].strip()

    @property
    def description(self) -> str:
        """Return the docstring after its first line."""
        return self._docstring_parts[2].strip()

    @property
    def _docstring_parts(self) -> tuple[str, str, str]:
        return (inspect.getdoc(self.endpoint.view) or "").partition("\n")

    def list_errors(self) -> list[ErrorKind]:
        """Return the errors that the endpoint declares and those that every endpoint of its kind may return."""
        kinds = {*COMMON_ERRORS, *self.endpoint.errors}
        if Role.PUBLIC not in self.endpoint.callers:
            kinds.add(INVALID_TOKEN)
            if LIMITABLE_ROLES & self.endpoint.callers and Role.LIMITED not in self.endpoint.callers:
                kinds.add(VERIFICATION_REQUIRED)
        if self.endpoint.method == "POST":
            kinds.update(BODY_ERRORS)
        return sorted(kinds, key=lambda kind: (kind.status, kind.code))


def iter_endpoints() -> Iterator[DocumentedEndpoint]:
    """Yield all endpoints by group, in the order of their declaration."""
    for group in GROUPS:
        for endpoint in load_routes(group).endpoints:
            yield DocumentedEndpoint(PUBLISHED_NAMES.get(group, group), endpoint)
