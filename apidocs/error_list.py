"""docs/errors.md: every refusal there is, and who answers it."""

from apidocs import endpoints
from apidocs.endpoints import DocumentedEndpoint
from apidocs.responses import ERROR_NAMES
from chalicelib.errors import KINDS, METHOD_NOT_ALLOWED, TOKEN, ErrorKind

HEADER = """# Errors

Made by `python -m apidocs` from `chalicelib/errors.py` and the routes: do not edit.

A refusal is `{"code":N,"error":"…"}` without `data`. The HTTP status says the same as the code. `error` is Chinese and
fit to show to a patient; it may be more exact than the text below (10001 names the fields and what is wrong with each).
Every answer carries `X-Request-Id`, the id that the logs carry.

A client may send the same request again after 429 and 503 (wait `Retry-After` seconds), 500 and 504; a write should
then carry the same `Idempotency-Key`, where the endpoint takes one. After 10101 it signs in again. The others are
answered the same way each time.

| code | HTTP | name | text | answered by |
| ---: | ---: | --- | --- | --- |
"""


def render() -> str:
    every = list(endpoints.iter_endpoints())
    return HEADER + "".join(_format_row(kind, every) for kind in sorted(KINDS, key=lambda kind: kind.code))


def _format_row(kind: ErrorKind, every: list[DocumentedEndpoint]) -> str:
    return (
        f"| {kind.code} | {kind.status} | {ERROR_NAMES[kind.code]} | {kind.text} | {_format_endpoints(kind, every)} |\n"
    )


def _format_endpoints(kind: ErrorKind, every: list[DocumentedEndpoint]) -> str:
    if kind in endpoints.COMMON_ERRORS:
        return "any endpoint"
    if kind in endpoints.BODY_ERRORS:
        return "any endpoint with a body"
    if kind is METHOD_NOT_ALLOWED:
        return "an event with a method its path does not have; over HTTP API Gateway answers such a request with 404"
    named = [one for one in every if kind in one.endpoint.errors]
    paths = [f"`{one.endpoint.method} {one.endpoint.path}`" for one in named]
    return "<br>".join([*(["any endpoint that wants a token or key"] if kind is TOKEN else []), *paths])
