"""Declare endpoints and serve them: the only module that uses Chalice's request and response.

A view declares the input it needs by parameter name and type, and returns a model:

    @routes.post("/msg_service/msg/doctor/send_text_msg", callers=[Role.DOCTOR], errors=[NOT_FOUND])
    def send_text_msg(
        caller: Caller, body: DoctorTextRequest, idempotency_key: IdempotencyKeyHeader
    ) -> SendResponse: ...

Parameter names and what they receive:
    caller           the authenticated caller (Caller, ActingCaller or OptionalTenantCaller)
    body             the JSON object of the request, as a WireModel
    query            the query string, as a WireModel
    idempotency_key  the Idempotency-Key header (IdempotencyKeyHeader)
    last_event_id    the Last-Event-ID header (LastEventIdHeader)
    time_left        seconds until the Lambda function is stopped
    upload           the file that the body is or contains (RequestFile)
    raw_request      headers and body unchanged, to verify a signature (RawRequest)
    any other name   a path parameter

A response is {"code":0,"data":…} and an error {"code":N,"error":"…"}. Paths of the messagecenter use its own envelope
(envelopes.py). A view that returns RawContent sends it without an envelope.
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
Decorator = Callable[[View], View]

OptionalTenantCaller = Annotated[Caller, "tenant_id is 0, which has no data, if the request does not name a tenant"]
"""A visitor whose tenant may be unknown; with a plain Caller such a request gets a 400."""

ActingCaller = Annotated[Caller, "replaced by the user whom the messagecenter's headers name"]
"""The user on whose behalf a messagecenter request is made: see identity/acting_user.py."""

IdempotencyKeyHeader = Annotated[IdempotencyKey | None, "Idempotency-Key"]
LastEventIdHeader = Annotated[str | None, "Last-Event-ID"]

# Built once: building an adapter takes longer than a whole read request.
_IDEMPOTENCY_KEY_ADAPTER: TypeAdapter[str | None] = TypeAdapter(IdempotencyKeyHeader)

RESERVED_PARAMETERS = {
    "caller": "",
    "body": BODY_LABEL,
    "query": "",
    "idempotency_key": "Idempotency-Key",
    "last_event_id": "Last-Event-ID",
    "time_left": "",
    "upload": "file",
    "raw_request": BODY_LABEL,
}
"""Parameter names of views that are not path parameters, with the label that validation messages use for each."""

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
    """One route as declared: what is needed to serve, document and test it."""

    method: str
    path: str
    callers: frozenset[Role]  # roles that may call it
    errors: tuple[ErrorKind, ...]  # in addition to those that every endpoint may return
    view: View
    parameters: dict[str, Any]  # annotation by parameter name of the view
    return_type: Any  # without RawContent, unless that is the only type
    raw_content_type: str  # content type of RawContent that the view returns, "" if it returns none

    # Adapters are built for an endpoint's first request: a cold start serves only one of many endpoints.
    @cached_property
    def response_adapter(self) -> TypeAdapter[Any]:
        """Return the adapter that serializes what the view returns."""
        return TypeAdapter(self.return_type)

    @cached_property
    def path_adapters(self) -> dict[str, TypeAdapter[Any]]:
        """Return the adapters of the path parameters by name."""
        return {name: TypeAdapter(kind) for name, kind in self.parameters.items() if name not in RESERVED_PARAMETERS}


class Routes(Blueprint):
    """The endpoints of one group. `endpoints` lists them in the order of their declaration."""

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name)
        self.endpoints: list[Endpoint] = []

    def get(
        self, path: str, *, callers: Iterable[Role], errors: Iterable[ErrorKind] = (), raw_content_type: str = ""
    ) -> Decorator:
        """Return a decorator that registers a view for GET requests. See `post`."""
        return self._build_decorator("GET", path, callers, errors, raw_content_type)

    def post(
        self, path: str, *, callers: Iterable[Role], errors: Iterable[ErrorKind] = (), raw_content_type: str = ""
    ) -> Decorator:
        """Return a decorator that registers a view for POST requests.

        Args:
            callers: roles that may call the endpoint; others receive 403.
            errors: errors that the view raises, in addition to those that every endpoint may return. For the API
                documentation.
            raw_content_type: content type of RawContent that the view returns.
        """
        return self._build_decorator("POST", path, callers, errors, raw_content_type)

    def _build_decorator(
        self, method: str, path: str, callers: Iterable[Role], errors: Iterable[ErrorKind], raw_content_type: str
    ) -> Decorator:
        def register(view: View) -> View:
            parameters = get_type_hints(view, include_extras=True)
            return_type = _remove_raw_content(parameters.pop("return"))
            self._add_endpoint(
                Endpoint(
                    method, path, frozenset(callers), tuple(errors), view, parameters, return_type, raw_content_type
                )
            )
            return view

        return register

    def _add_endpoint(self, endpoint: Endpoint) -> None:
        self.endpoints.append(endpoint)

        def serve(**path_parameters: str) -> Response:
            return _handle_request(endpoint, self.current_request, path_parameters)

        # The Content-Type of a GET, which has no body, is ignored; uploaded files and webhooks may be of any type.
        has_json_body = endpoint.method == "POST" and not endpoint.parameters.keys() & {"upload", "raw_request"}
        self.route(
            endpoint.path,
            methods=[endpoint.method],
            name=f"{endpoint.view.__module__}.{endpoint.view.__name__}",
            content_types=["application/json"] if has_json_body else [],
            cors=CORS,
        )(serve)


def _remove_raw_content(return_type: Any) -> Any:
    if RawContent not in get_args(return_type):
        return return_type
    others = [one for one in get_args(return_type) if one is not RawContent]
    return Union[tuple(others)]  # noqa: UP007  # built at run time


def _handle_request(endpoint: Endpoint, request: Request, path_parameters: dict[str, str]) -> Response:
    try:
        caller = _identify_caller(endpoint, request)
        arguments = {
            name: _parse_parameter(endpoint, name, caller, request, path_parameters) for name in endpoint.parameters
        }
        result = endpoint.view(**arguments)
        if isinstance(result, RawContent):
            return RawResponse(result)
        data = endpoint.response_adapter.dump_json(result, by_alias=True)
    except ApiError as error:
        logs.warn_if_unavailable(error)
        return build_error_response(error, endpoint.path)
    except Exception:
        logger.exception("unhandled")
        return build_error_response(ApiError(errors.INTERNAL), endpoint.path)
    return Response(envelopes.wrap_success(endpoint.path, data.decode(), isinstance(result, CountedResult)))


def _identify_caller(endpoint: Endpoint, request: Request) -> Caller:
    annotation = endpoint.parameters.get("caller")
    try:
        caller = callers.identify(_get_auth_headers(endpoint, request), endpoint.callers, _get_client_address(request))
    except ApiError as error:
        if annotation != OptionalTenantCaller or error.kind is not errors.BAD_PARAMETER:
            raise
        caller = Caller(0, Role.PUBLIC)
    if annotation == ActingCaller:
        caller = acting_user.resolve_caller(caller, request.headers)
    logs.bind(tenant_id=caller.tenant_id, principal=caller.principal)
    return caller


def _get_auth_headers(endpoint: Endpoint, request: Request) -> Mapping[str, str]:
    """Return the headers, with the token of the query string if the endpoint's query model has one.

    A browser's EventSource cannot send request headers.
    """
    query: Mapping[str, str] = request.query_params or {}
    token = query.get("token", "") if "token" in getattr(endpoint.parameters.get("query"), "model_fields", ()) else ""
    if not token or callers.get_token(request.headers):
        headers: Mapping[str, str] = request.headers
        return headers
    return {**{name.lower(): value for name, value in request.headers.items()}, "token": token}


def _get_client_address(request: Request) -> str:
    """Return the client's IP address as seen by API Gateway, or by the outermost trusted proxy in front of it."""
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    if settings.trusted_proxies and len(forwarded) > settings.trusted_proxies:
        return str(forwarded[-1 - settings.trusted_proxies])
    return str(request.context.get("identity", {}).get("sourceIp", ""))


def _parse_parameter(
    endpoint: Endpoint, name: str, caller: Caller, request: Request, path_parameters: dict[str, str]
) -> Any:
    """Return the argument for one parameter of the view.

    Raises:
        ApiError: 400 if the input does not fit the annotation, 403 if it names another tenant than the caller's, 413
            if the body is too large.
    """
    try:
        match name:
            case "caller":
                return caller
            case "body":
                return _parse_body(endpoint.parameters[name], caller, request)
            case "query":
                return _parse_query(endpoint.parameters[name], caller, request)
            case "idempotency_key":
                return _IDEMPOTENCY_KEY_ADAPTER.validate_python(request.headers.get("idempotency-key"))
            case "last_event_id":
                return request.headers.get("last-event-id")
            case "time_left":
                lambda_context: Any = request.lambda_context
                return lambda_context.get_remaining_time_in_millis() / 1000
            case "upload":
                return parse_upload(request.headers.get("content-type", ""), _read_body(request))
            case "raw_request":
                return RawRequest({key.lower(): value for key, value in request.headers.items()}, _read_body(request))
        # API Gateway passes path parameters percent-encoded.
        return endpoint.path_adapters[name].validate_python(unquote(path_parameters[name]))
    except ValidationError as error:
        label = RESERVED_PARAMETERS.get(name, name)
        raise ApiError(errors.BAD_PARAMETER, format_validation_error(error, label)) from None


def _parse_body(model: Any, caller: Caller, request: Request) -> Any:
    body = _read_body(request) or b"{}"
    parsed = model.model_validate_json(body)
    if b"tenantId" in body:  # the body is decoded again only if it may name a tenant
        callers.require_same_tenant(str(json.loads(body).get("tenantId", "")), caller)
    return parsed


def _parse_query(model: Any, caller: Caller, request: Request) -> Any:
    query = dict(request.query_params or {})
    callers.require_same_tenant(query.get("tenantId", ""), caller)
    return model.model_validate(drop_empty_optional(model, query))


def _read_body(request: Request) -> bytes:
    try:
        body = request.raw_body
    except ValueError:  # invalid base64 or a lone surrogate
        raise ApiError(errors.BAD_PARAMETER, f"{BODY_LABEL}：{INVALID_JSON_TEXT}") from None
    if len(body) > settings.max_body_bytes:
        raise ApiError(errors.TOO_LARGE)
    return body.encode() if isinstance(body, str) else body


def build_error_response(error: ApiError, path: str) -> Response:
    """Return the response to an error, in the envelope of the path, and add its code to the log context."""
    logs.bind(code=error.kind.code)
    response = Response(envelopes.wrap_error(path, error.kind, error.text), status_code=error.kind.status)
    if error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def build_gateway_error(status: int) -> tuple[dict[str, str], str]:
    """Return headers and body for an error that API Gateway returns without running a function, on any path."""
    retry_after = {"Retry-After": "1"} if status in (429, 503) else {}
    return DEFAULT_HEADERS | retry_after, envelopes.wrap_error_for_any_path(errors.get_kind_by_status(status))


def wrap_request(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Middleware for every request: add headers, log the request, wrap errors that Chalice returns by itself."""
    started = clock.monotonic()
    request_id = str(request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", ""))
    logs.start_context(request_id=request_id, method=request.method, route=request.path)
    response = get_response(request)
    if isinstance(response.body, dict):  # Chalice's {"Code": …, "Message": …}; our own bodies are text
        response.body = envelopes.wrap_error(request.path, errors.get_kind_by_status(response.status_code))
    response.headers = {**DEFAULT_HEADERS, **response.headers, "X-Request-Id": request_id}
    elapsed_ms = round((clock.monotonic() - started) * 1000, 1)
    logger.info("request", extra={"ids": {"status": response.status_code, "ms": elapsed_ms}})
    return response
