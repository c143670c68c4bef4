"""Declare endpoints and serve them. Only this module and request_input.py use Chalice's request and response.

A view declares the input it needs by parameter name and type, and returns a model:

    @routes.post("/msg_service/msg/doctor/send_text_msg", callers=[Role.DOCTOR], errors=[NOT_FOUND])
    def send_text_msg(
        caller: Caller, body: DoctorTextRequest, idempotency_key: IdempotencyKeyHeader
    ) -> SendResponse: ...

Parameter names and what they receive:
    caller           the authenticated caller (Caller, ActingCaller or OptionalTenantCaller)
    body             the request body, a JSON object or a form, as a WireModel
    query            the query string, as a WireModel
    idempotency_key  the Idempotency-Key header (IdempotencyKeyHeader)
    last_event_id    the Last-Event-ID header (LastEventIdHeader)
    time_left        seconds until the Lambda function is stopped
    upload           the file that the body is or contains (RequestFile)
    raw_request      headers and body unchanged, to verify a signature (RawRequest)
    batch            scripts that have run in the round trip that checked the token (ScriptBatch), see `post`; None
                     without a token that this process knows
    any other name   a path parameter

A response is {"code":0,"data":…} and an error {"code":N,"error":"…"}. Paths of the messagecenter use its own envelope
(envelopes.py). A view that returns RawContent sends it without an envelope.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union, get_args, get_type_hints

from chalice.app import Blueprint, CORSConfig, Request, Response

from chalicelib import clock, errors, logs
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.audit import origin
from chalicelib.errors import RATE_LIMITED, ApiError, ErrorKind
from chalicelib.http import envelopes
from chalicelib.http.bodies import RawContent, RawRequest, RawResponse, RequestFile
from chalicelib.http.endpoints import (
    RESERVED_PARAMETERS,
    ActingCaller,
    Endpoint,
    IdempotencyKeyHeader,
    LastEventIdHeader,
    OptionalTenantCaller,
    PrepareBatch,
    View,
)
from chalicelib.http.envelopes import CountedResult
from chalicelib.http.request_input import (
    get_auth_headers,
    get_client_address,
    parse_body_or_query,
    parse_parameter,
    require_same_tenant,
    takes_token,
)
from chalicelib.identity import acting_user, callers, rate_limits, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.rate_limits import RateLimit
from chalicelib.identity.tokens import Owner

logger = logging.getLogger(__name__)

__all__ = [
    "RESERVED_PARAMETERS",
    "ActingCaller",
    "CountedResult",
    "Endpoint",
    "IdempotencyKeyHeader",
    "LastEventIdHeader",
    "OptionalTenantCaller",
    "RateLimit",
    "RawContent",
    "RawRequest",
    "RequestFile",
    "Routes",
    "ScriptBatch",
]

Decorator = Callable[[View], View]

CORS = CORSConfig(
    allow_origin="*",
    allow_headers=[
        *("token", "tenantId", "Idempotency-Key", "X-Internal-Key", "Last-Event-ID"),
        *("newUserId", "entUserId", "entId", "positionId", "appId"),
        *("X-Requested-With", "Cache-Control", "Pragma"),  # sent by jQuery, and by pages that avoid a browser's cache
    ],
    expose_headers=["X-Request-Id", "Retry-After"],
    max_age=600,
)
DEFAULT_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    **CORS.get_access_control_headers(),
}


class Routes(Blueprint):
    """The endpoints of one group. `endpoints` lists them in the order of their declaration."""

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name)
        self.endpoints: list[Endpoint] = []

    def get(
        self,
        path: str,
        *,
        callers: Iterable[Role],
        errors: Iterable[ErrorKind] = (),
        raw_content_type: str = "",
        batch: PrepareBatch | None = None,
        limit: RateLimit | None = None,
    ) -> Decorator:
        """Return a decorator that registers a view for GET requests. See `post`."""
        return self._build_decorator("GET", path, callers, errors, raw_content_type, batch, limit, audited=False)

    def post(
        self,
        path: str,
        *,
        callers: Iterable[Role],
        errors: Iterable[ErrorKind] = (),
        raw_content_type: str = "",
        batch: PrepareBatch | None = None,
        limit: RateLimit | None = None,
        audited: bool = True,
    ) -> Decorator:
        """Return a decorator that registers a view for POST requests.

        Args:
            callers: roles that may call the endpoint; others receive 403.
            errors: errors that the view raises, in addition to those that every endpoint may return. For the API
                documentation.
            raw_content_type: content type of RawContent that the view returns.
            batch: returns the Redis scripts with which the view begins; they run in the round trip that checks the
                token, for the owner to whom it belonged when it was last checked.
            limit: how often a principal may call the endpoint, and others with the same limit. A hospital's own system,
                authenticated by an internal key, is not limited.
            audited: whether a call with an internal key is added to the audit log. Not needed by a view that only
                reads, or that adds an entry by itself.
        """
        return self._build_decorator("POST", path, callers, errors, raw_content_type, batch, limit, audited)

    def _build_decorator(
        self,
        method: str,
        path: str,
        callers: Iterable[Role],
        errors: Iterable[ErrorKind],
        raw_content_type: str,
        prepare_batch: PrepareBatch | None,
        limit: RateLimit | None,
        audited: bool,
    ) -> Decorator:
        def register(view: View) -> View:
            parameters = get_type_hints(view, include_extras=True)
            return_type = _remove_raw_content(parameters.pop("return"))
            self._add_endpoint(
                Endpoint(
                    method,
                    path,
                    frozenset(callers),
                    (*errors, *([RATE_LIMITED] if limit else [])),
                    view,
                    parameters,
                    return_type,
                    raw_content_type,
                    prepare_batch,
                    limit,
                    audited,
                )
            )
            return view

        return register

    def _add_endpoint(self, endpoint: Endpoint) -> None:
        self.endpoints.append(endpoint)

        def serve(**path_parameters: str) -> Response:
            return _handle_request(endpoint, self.current_request, path_parameters)

        self.route(
            endpoint.path,
            methods=[endpoint.method],
            name=f"{endpoint.view.__module__}.{endpoint.view.__name__}",
            content_types=[],  # any: request_input.py rejects what it cannot parse, after authentication
            cors=CORS,
        )(serve)


def _remove_raw_content(return_type: Any) -> Any:
    if RawContent not in get_args(return_type):
        return return_type
    others = [one for one in get_args(return_type) if one is not RawContent]
    return Union[tuple(others)]  # noqa: UP007  # built at run time


def _handle_request(endpoint: Endpoint, request: Request, path_parameters: dict[str, str]) -> Response:
    batch: ScriptBatch | None = None
    try:
        caller, batch, body_or_query = _authenticate(endpoint, request)
        known = {"caller": caller, "batch": batch}
        if body_or_query is not None:
            known |= {"body": body_or_query, "query": body_or_query}
        arguments = {
            name: known[name] if name in known else parse_parameter(endpoint, name, request, path_parameters)
            for name in endpoint.parameters
        }
        require_same_tenant(endpoint, request, caller)
        result = endpoint.view(**arguments)
        if endpoint.is_audited and caller.acts_by_key:
            _audit_call(endpoint, caller)
        if isinstance(result, RawContent):
            return RawResponse(result)
        data = endpoint.response_adapter.dump_json(result, by_alias=True)
    except ApiError as error:
        redis.undo_batch(batch)
        logs.warn_if_unavailable(error)
        return build_error_response(error, endpoint.path)
    except Exception:
        redis.undo_batch(batch)
        logger.exception("unhandled")
        return build_error_response(ApiError(errors.INTERNAL), endpoint.path)
    finally:
        origin.set_address("")
    return Response(envelopes.wrap_success(endpoint.path, data.decode(), isinstance(result, CountedResult)))


def _audit_call(endpoint: Endpoint, caller: Caller) -> None:
    """Add to the audit log that an internal key has called an endpoint. The call is done: a failure is logged only."""
    from chalicelib.audit import audit_log

    try:
        audit_log.insert_entry(
            *(mysql.autocommit, caller.tenant_id, caller.principal, audit_log.AuditAction.CALL_WITH_KEY, endpoint.path),
            key_id=caller.key_id,
            request_id=logs.get_context().get("request_id", ""),
        )
    except Exception:
        logger.exception("call with key not audited", extra={"ids": {"key_id": caller.key_id}})


def _authenticate(endpoint: Endpoint, request: Request) -> tuple[Caller, ScriptBatch | None, Any]:
    """Return the caller, the scripts with which the view begins, and the body or query if it has been parsed for them.

    Raises:
        ApiError: 401, 403, or 429 above the endpoint's limit; the scripts are undone then.
    """
    headers = get_auth_headers(endpoint, request)
    owner = tokens.find_last_owner(callers.get_token(headers)) if endpoint.prepare_batch or endpoint.limit else None
    rejection = rate_limits.find_rejection(owner, endpoint.limit) if owner and endpoint.limit else None
    batch, parsed = (None, None) if rejection else _prepare_batch(endpoint, request, owner)
    try:
        caller = _identify_caller(endpoint, request, headers, batch)
        if endpoint.limit and not batch and caller.token_hash_hex:
            if rejection:
                raise rejection
            batch, parsed = _run_batch(endpoint, request, caller)
        if endpoint.limit and batch:
            rate_limits.require_within(batch)
    except Exception:
        redis.undo_batch(batch)
        raise
    return caller, batch, parsed


def _prepare_batch(endpoint: Endpoint, request: Request, owner: Owner | None) -> tuple[ScriptBatch | None, Any]:
    """Return the scripts with which the view begins, and the body or query on which they depend.

    Returns:
        (None, None) if the token's owner is not known yet, or the input is invalid: authentication takes precedence.
    """
    if owner is None:
        return None, None
    try:
        parsed = parse_body_or_query(endpoint, request)
    except ApiError:
        return None, None
    return _build_batch(endpoint, owner, parsed), parsed


def _run_batch(endpoint: Endpoint, request: Request, caller: Caller) -> tuple[ScriptBatch, Any]:
    """Run the scripts with which the view begins, as `_prepare_batch` could not: this process did not know the owner.

    A view that has such scripts would run them in a round trip of its own.
    """
    parsed = parse_body_or_query(endpoint, request)
    batch = _build_batch(endpoint, Owner(caller.tenant_id, caller.principal), parsed)
    batch.replies = redis.try_scripts(batch.calls)
    return batch, parsed


def _build_batch(endpoint: Endpoint, owner: Owner, parsed: Any) -> ScriptBatch:
    batch = endpoint.prepare_batch(owner, parsed) if endpoint.prepare_batch else ScriptBatch([])
    if endpoint.limit:
        rate_limits.add_to_batch(batch, owner, endpoint.limit)
    return batch


def _identify_caller(
    endpoint: Endpoint, request: Request, headers: Mapping[str, str], batch: ScriptBatch | None
) -> Caller:
    annotation = endpoint.parameters.get("caller")
    # WeChat Pay's notifications, which need no address, do not have to come through the proxies.
    address = "" if annotation == OptionalTenantCaller else get_client_address(request)
    origin.set_address(address)
    try:
        caller = callers.identify(headers, endpoint.callers, address, batch, listens=takes_token(endpoint))
    except ApiError as error:
        if annotation != OptionalTenantCaller or error.kind is not errors.BAD_PARAMETER:
            raise
        caller = Caller(0, Role.PUBLIC)
    if annotation == ActingCaller:
        caller = acting_user.resolve_caller(caller, headers)
    logs.bind(tenant_id=caller.tenant_id, principal=caller.principal)
    return caller


def build_error_response(error: ApiError, path: str) -> Response:
    """Return the response to an error, in the envelope of the path, and add its code to the log context."""
    logs.bind(code=error.kind.code)
    body = envelopes.wrap_error(path, error.kind, error.text, error.data)
    response = Response(body, status_code=error.kind.status)
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
