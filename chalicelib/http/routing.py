"""The HTTP door: the only module that knows Chalice's request and response.

A view declares what it needs by name and type, and returns a model:

    @routes.post("/msg_service/msg/doctor/send_text_msg", callers=[DOCTOR])
    def send_text_msg(caller: Caller, body: DoctorText, key: Key) -> Sent: ...

`caller` is who asks, `body` the JSON object, `query` the query string, `key` the Idempotency-Key header;
`last_event` the Last-Event-ID header, `time_left` how many seconds the function has, `upload` the file that the body
is or has, `delivery` headers and body as they came; any other name is a path parameter. The answer leaves as
{"code":0,"data":…}, a refusal as {"code":N,"error":"…"}, on the messagecenter's paths in its own (web_envelopes.py); a
Raw leaves as it is.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Union, get_args, get_type_hints
from urllib.parse import unquote

from chalice.app import Blueprint, CORSConfig, Request, Response
from pydantic import TypeAdapter, ValidationError

from chalicelib import clock, errors, logs
from chalicelib.errors import ApiError, ErrorKind
from chalicelib.http import envelopes
from chalicelib.http.bodies import RawContent, RawRequest, RawResponse, RequestFile, parse_upload
from chalicelib.http.envelopes import CountedResult
from chalicelib.http.fields import (
    BODY_LABEL,
    INVALID_JSON_TEXT,
    IdempotencyKey,
    drop_empty_optional,
    format_validation_error,
)
from chalicelib.identity import acting_user, callers
from chalicelib.identity.callers import Caller, Role
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

__all__ = [
    "ActingCaller",
    "CountedResult",
    "Endpoint",
    "IdempotencyKeyHeader",
    "LastEventIdHeader",
    "OptionalTenantCaller",
    "RawContent",
    "RawRequest",
    "RequestFile",
    "Routes",
]

View = Callable[..., Any]
OptionalTenantCaller = Annotated[
    Caller, "of tenant 0, which has nothing, where nobody knows of which; other endpoints answer 400"
]
ActingCaller = Annotated[Caller, "as the messagecenter's headers name them: identity/acting_user.py"]
IdempotencyKeyHeader = Annotated[IdempotencyKey | None, "Idempotency-Key"]
LastEventIdHeader = Annotated[str | None, "Last-Event-ID"]
_IDEMPOTENCY_KEY_ADAPTER: TypeAdapter[str | None] = TypeAdapter(
    IdempotencyKeyHeader
)  # made once: making one takes longer than a whole read
_PARAMETER_LABELS = {
    "caller": "",
    "body": BODY_LABEL,
    "query": "",
    "key": "Idempotency-Key",
    "last_event": "Last-Event-ID",
    "time_left": "",
    "upload": "file",
    "delivery": BODY_LABEL,
}  # and what a refusal calls it

CORS = CORSConfig(
    allow_origin="*",
    allow_headers=[
        *("token", "tenantId", "Idempotency-Key", "X-Internal-Key", "Last-Event-ID"),
        *("newUserId", "entUserId", "entId", "positionId", "appId"),
    ],
    expose_headers=["X-Request-Id", "Retry-After"],
    max_age=600,
)
DEFAULT_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    **CORS.get_access_control_headers(),
}


@dataclass(frozen=True)
class Endpoint:
    """One route as it was declared: what serving, documenting and testing it need to know."""

    method: str
    path: str
    callers: frozenset[str]
    error_kinds: tuple[ErrorKind, ...]  # beyond those that any endpoint may answer
    view: View
    parameters: dict[str, Any]
    return_type: Any
    raw_content_type: str  # content type of those of its answers that are Raw, "" where none is

    # Made at an endpoint's first request, as its models are (wire.Wire): a cold start serves one of many.
    @cached_property
    def response_adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.return_type)

    @cached_property
    def path_adapters(self) -> dict[str, TypeAdapter[Any]]:
        """Of its path."""
        return {name: TypeAdapter(kind) for name, kind in self.parameters.items() if name not in _PARAMETER_LABELS}


class Routes(Blueprint):
    """A group's endpoints. `endpoints` lists them in the order of their declaration."""

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name)
        self.endpoints: list[Endpoint] = []

    def get(
        self, path: str, *, callers: Iterable[str], refusals: Iterable[ErrorKind] = (), raw: str = ""
    ) -> Callable[[View], View]:
        return lambda view: self._add_endpoint("GET", path, frozenset(callers), tuple(refusals), view, raw)

    def post(
        self, path: str, *, callers: Iterable[str], refusals: Iterable[ErrorKind] = (), raw: str = ""
    ) -> Callable[[View], View]:
        return lambda view: self._add_endpoint("POST", path, frozenset(callers), tuple(refusals), view, raw)

    def _add_endpoint(
        self, method: str, path: str, who: frozenset[str], refusals: tuple[ErrorKind, ...], view: View, raw: str
    ) -> View:
        wants = get_type_hints(view, include_extras=True)
        returns = wants.pop("return")
        others = [one for one in get_args(returns) if one is not RawContent]
        returns = Union[tuple(others)] if RawContent in get_args(returns) else returns  # noqa: UP007  # made, not written
        endpoint = Endpoint(method, path, who, refusals, view, wants, returns, raw)
        self.endpoints.append(endpoint)

        def serve(**path_parameters: str) -> Response:
            return _handle_request(endpoint, self.current_request, path_parameters)

        # A GET has no body, so whatever Content-Type a client gives it means nothing; a file may be of any.
        content_types = ["application/json"] if method == "POST" and not wants.keys() & {"upload", "delivery"} else []
        name = f"{view.__module__}.{view.__name__}"
        self.route(path, methods=[method], name=name, content_types=content_types, cors=CORS)(serve)
        return view


def _handle_request(endpoint: Endpoint, request: Request, path_parameters: dict[str, str]) -> Response:
    try:
        caller = _identify_caller(endpoint, request)
        arguments = {
            name: _parse_parameter(endpoint, name, caller, request, path_parameters) for name in endpoint.parameters
        }
        answer = endpoint.view(**arguments)
        if isinstance(answer, RawContent):
            return RawResponse(answer)
        data = endpoint.response_adapter.dump_json(answer, by_alias=True)
    except ApiError as refused:
        if refused.kind is errors.UNAVAILABLE:
            logger.warning("unavailable", extra={"ids": logs.describe_error(refused.__cause__ or refused)})
        return build_error_response(refused, endpoint.path)
    except Exception:
        logger.exception("unhandled")
        return build_error_response(ApiError(errors.INTERNAL), endpoint.path)
    return Response(envelopes.wrap_success(endpoint.path, data.decode(), isinstance(answer, CountedResult)))


def _identify_caller(endpoint: Endpoint, request: Request) -> Caller:
    try:
        caller = callers.identify(_get_auth_headers(endpoint, request), endpoint.callers, _get_client_address(request))
    except ApiError as refused:
        if endpoint.parameters.get("caller") != OptionalTenantCaller or refused.kind is not errors.BAD_PARAMETER:
            raise
        caller = Caller(0, Role.PUBLIC)
    if endpoint.parameters.get("caller") == ActingCaller:
        caller = acting_user.resolve_caller(caller, request.headers)
    logs.bind(tenant_id=caller.tenant_id, principal=caller.principal)
    return caller


def _get_auth_headers(endpoint: Endpoint, request: Request) -> Mapping[str, str]:
    """A query that has a token may sign in by it: a browser's EventSource sends no headers of ours."""
    query: Mapping[str, str] = request.query_params or {}
    token = query.get("token", "") if "token" in getattr(endpoint.parameters.get("query"), "model_fields", ()) else ""
    if not token or callers.get_token(request.headers):
        headers: Mapping[str, str] = request.headers
        return headers
    return {**{name.lower(): value for name, value in request.headers.items()}, "token": token}


def _get_client_address(request: Request) -> str:
    """The client's address: API Gateway's word, or what the outermost trusted proxy before it has seen."""
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    if settings.trusted_proxies and len(forwarded) > settings.trusted_proxies:
        return str(forwarded[-1 - settings.trusted_proxies])
    return str(request.context.get("identity", {}).get("sourceIp", ""))


def _parse_parameter(
    endpoint: Endpoint, name: str, caller: Caller, request: Request, path_parameters: dict[str, str]
) -> Any:
    try:
        match name:
            case "caller":
                return caller
            case "body":
                body = _read_body(request) or b"{}"
                model = endpoint.parameters[name].model_validate_json(body)
                if b"tenantId" in body:
                    callers.require_same_tenant(str(json.loads(body).get("tenantId", "")), caller)
                return model
            case "query":
                query = dict(request.query_params or {})
                callers.require_same_tenant(query.get("tenantId", ""), caller)
                return endpoint.parameters[name].model_validate(drop_empty_optional(endpoint.parameters[name], query))
            case "upload":
                return parse_upload(request.headers.get("content-type", ""), _read_body(request))
            case "delivery":
                return RawRequest({key.lower(): value for key, value in request.headers.items()}, _read_body(request))
            case "last_event":
                return request.headers.get("last-event-id")
            case "time_left":
                function: Any = request.lambda_context
                return function.get_remaining_time_in_millis() / 1000
            case "key":
                return _IDEMPOTENCY_KEY_ADAPTER.validate_python(request.headers.get("idempotency-key"))
        return endpoint.path_adapters[name].validate_python(
            unquote(path_parameters[name])
        )  # API Gateway leaves them encoded
    except ValidationError as error:
        raise ApiError(
            errors.BAD_PARAMETER, format_validation_error(error, _PARAMETER_LABELS.get(name, name))
        ) from None


def _read_body(request: Request) -> bytes:
    try:
        body = request.raw_body
    except ValueError:  # no base64, or half a surrogate pair
        raise ApiError(errors.BAD_PARAMETER, f"{BODY_LABEL}：{INVALID_JSON_TEXT}") from None
    if len(body) > settings.max_body_bytes:
        raise ApiError(errors.TOO_LARGE)
    return body.encode() if isinstance(body, str) else body


def build_error_response(refused: ApiError, path: str) -> Response:
    logs.bind(code=refused.kind.code)
    response = Response(envelopes.wrap_error(path, refused.kind, refused.text), status_code=refused.kind.status)
    if refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def build_gateway_error(status: int) -> tuple[dict[str, str], str]:
    """Return headers and body of an error that API Gateway makes before any function runs, whatever the path."""
    retry = {"Retry-After": "1"} if status in (429, 503) else {}
    return DEFAULT_HEADERS | retry, envelopes.wrap_error_for_any_path(errors.get_kind_by_status(status))


def wrap_request(request: Request, answer: Callable[[Request], Response]) -> Response:
    """Middleware around every request: ids, log line, and our envelope on what Chalice refuses by itself."""
    started = clock.monotonic()
    request_id = str(request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", ""))
    logs.start_context(request_id=request_id, method=request.method, route=request.path)
    response = answer(request)
    if isinstance(response.body, dict):  # Chalice's own {"Code": …, "Message": …}: our answers are text
        response.body = envelopes.wrap_error(request.path, errors.get_kind_by_status(response.status_code))
    response.headers = {**DEFAULT_HEADERS, **response.headers, "X-Request-Id": request_id}
    took = round((clock.monotonic() - started) * 1000, 1)
    logger.info("request", extra={"ids": {"status": response.status_code, "ms": took}})
    return response
