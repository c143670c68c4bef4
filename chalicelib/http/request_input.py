"""Read what a view needs from Chalice's request: the credentials, and the argument for each of its parameters."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from chalice.app import Request
from pydantic import TypeAdapter, ValidationError

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.http.bodies import RawRequest, parse_upload
from chalicelib.http.endpoints import RESERVED_PARAMETERS, Endpoint, IdempotencyKeyHeader
from chalicelib.http.fields import BODY_LABEL, INVALID_JSON_TEXT, drop_empty_optional, format_validation_error
from chalicelib.identity import callers
from chalicelib.identity.callers import Caller
from chalicelib.settings import settings

# Built once: building an adapter takes longer than a whole read request.
_IDEMPOTENCY_KEY_ADAPTER: TypeAdapter[str | None] = TypeAdapter(IdempotencyKeyHeader)


def get_auth_headers(endpoint: Endpoint, request: Request) -> Mapping[str, str]:
    """Return the headers, with the token of the query string if the endpoint's query model has one.

    A browser's EventSource cannot send request headers.
    """
    query: Mapping[str, str] = request.query_params or {}
    token = query.get("token", "") if "token" in getattr(endpoint.parameters.get("query"), "model_fields", ()) else ""
    if not token or callers.get_token(request.headers):
        headers: Mapping[str, str] = request.headers
        return headers
    return {**{name.lower(): value for name, value in request.headers.items()}, "token": token}


def get_client_address(request: Request) -> str:
    """Return the client's IP address as seen by API Gateway, or by the outermost trusted proxy in front of it."""
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    if settings.trusted_proxies and len(forwarded) > settings.trusted_proxies:
        return str(forwarded[-1 - settings.trusted_proxies])
    return str(request.context.get("identity", {}).get("sourceIp", ""))


def parse_body_or_query(endpoint: Endpoint, request: Request) -> Any:
    """Return the body or query of an endpoint that has one of them, else None; see `parse_parameter` for errors."""
    name = next((one for one in ("body", "query") if one in endpoint.parameters), "")
    return parse_parameter(endpoint, name, request, {}) if name else None


def parse_parameter(endpoint: Endpoint, name: str, request: Request, path_parameters: Mapping[str, str]) -> Any:
    """Return the argument for one parameter of the view, except caller and batch.

    Raises:
        ApiError: 400 if the input does not fit the annotation, 413 if the body is too large.
    """
    try:
        match name:
            case "body":
                return endpoint.parameters[name].model_validate_json(_read_body(request) or b"{}")
            case "query":
                model, query = endpoint.parameters[name], dict(request.query_params or {})
                return model.model_validate(drop_empty_optional(model, query))
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


def require_same_tenant(endpoint: Endpoint, request: Request, caller: Caller) -> None:
    """Raise ApiError 403 if the body or query, which are valid, name another tenant than the caller's."""
    if "query" in endpoint.parameters:
        query: Mapping[str, str] = request.query_params or {}
        callers.require_same_tenant(query.get("tenantId", ""), caller)
    if "body" in endpoint.parameters and b"tenantId" in (body := _read_body(request)):
        callers.require_same_tenant(str(json.loads(body).get("tenantId", "")), caller)


def _read_body(request: Request) -> bytes:
    try:
        body = request.raw_body
    except ValueError:  # invalid base64 or a lone surrogate
        raise ApiError(errors.BAD_PARAMETER, f"{BODY_LABEL}：{INVALID_JSON_TEXT}") from None
    if len(body) > settings.max_body_bytes:
        raise ApiError(errors.TOO_LARGE)
    return body.encode() if isinstance(body, str) else body
