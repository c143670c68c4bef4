"""The endpoints as they were declared, with what a reader wants to know of each."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from app import GROUPS, load_routes
from chalicelib.errors import (
    BAD_PARAMETER,
    INTERNAL,
    NOT_ALLOWED,
    TIMED_OUT,
    TOKEN,
    TOO_LARGE,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA,
    ErrorKind,
)
from chalicelib.http.routing import Endpoint
from chalicelib.identity.callers import Role

COMMON_ERRORS = (BAD_PARAMETER, NOT_ALLOWED, TOO_MANY_REQUESTS, INTERNAL, UNAVAILABLE, TIMED_OUT)
BODY_ERRORS = (TOO_LARGE, UNSUPPORTED_MEDIA)
# Tags and operation ids are published: generated clients are named after them, whatever a package is called.
PUBLISHED_NAMES = {"staff": "clinic"}


@dataclass(frozen=True)
class DocumentedEndpoint:
    group: str
    endpoint: Endpoint

    @property
    def id(self) -> str:
        """A name for generated clients. Chalice refuses two views of one module and name, so it is unique."""
        return f"{self.group}_{self.endpoint.view.__name__}"

    @property
    def title(self) -> str:
        return self._docstring_parts[0].strip()

    @property
    def description(self) -> str:
        return self._docstring_parts[2].strip()

    @property
    def _docstring_parts(self) -> tuple[str, str, str]:
        return (inspect.getdoc(self.endpoint.view) or "").partition("\n")

    def list_errors(self) -> list[ErrorKind]:
        """Every refusal it may answer: its own, and those that any endpoint of its sort may answer."""
        kinds = {*COMMON_ERRORS, *self.endpoint.errors}
        if Role.PUBLIC not in self.endpoint.callers:
            kinds.add(TOKEN)
        if self.endpoint.method == "POST":
            kinds.update(BODY_ERRORS)
        return sorted(kinds, key=lambda kind: (kind.status, kind.code))


def iter_endpoints() -> Iterator[DocumentedEndpoint]:
    """All endpoints, group by group, in the order of their declaration."""
    for group in GROUPS:
        for endpoint in load_routes(group).endpoints:
            yield DocumentedEndpoint(PUBLISHED_NAMES.get(group, group), endpoint)
