"""Read what a view needs from Chalice's request: the credentials, and the argument for each of its parameters."""

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from chalice.app import Request
from pydantic import TypeAdapter, ValidationError

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.http import forms
from chalicelib.http.bodies import RawRequest, parse_upload
from chalicelib.http.endpoints import RESERVED_PARAMETERS, Endpoint, IdempotencyKeyHeader
from chalicelib.http.fields import WireModel, is_empty
from chalicelib.http.validation import parse_fields, parse_json
from chalicelib.http.validation_messages import BODY_LABEL, INVALID_JSON_TEXT, format_validation_error
from chalicelib.identity import addresses, callers
from chalicelib.identity.callers import Caller, Role
from chalicelib.settings import settings

# Built once: building an adapter takes longer than a whole read request.
_IDEMPOTENCY_KEY_ADAPTER: TypeAdapter[str | None] = TypeAdapter(IdempotencyKeyHeader)
JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"
# Old pages send JSON as text/plain, for which browsers make no preflight request, or without any type.
_JSON_TYPES = {JSON_TYPE, "text/plain", "*/*", ""}
_EMPTY_BODIES = (b"", b"null", b'""')  # pages also send what JSON makes of a missing value
# The headers that we read, with their names in error texts. A page sends `undefined` or `null` for what it does not
# have.
_OUR_HEADERS = {
    name.lower(): name
    for name in (
        *("token", "tenantId", "X-Internal-Key", "Idempotency-Key", "Last-Event-ID"),
        *("newUserId", "entUserId", "entId", "positionId", "appId", "Authorization"),
    )
}
MAX_HEADER_LENGTH = 512  # characters of each of them; the longest valid value is an Idempotency-Key of 128


def get_headers(request: Request) -> Mapping[str, str]:
    """Return the headers by names in lower case, without those of ours that are empty, and without an empty Bearer.

    Raises:
        ApiError: 400 naming one of ours that is too long.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    for name in _OUR_HEADERS.keys() & headers.keys():
        if len(headers[name]) > MAX_HEADER_LENGTH:
            raise ApiError(errors.BAD_PARAMETER, f"{_OUR_HEADERS[name]}：过长，至多 {MAX_HEADER_LENGTH} 个字符")
        if is_empty(headers[name].strip()):
            del headers[name]
    if is_empty(headers.get("authorization", "").partition(" ")[2].strip()):
        headers.pop("authorization", None)
    return headers


def get_auth_headers(endpoint: Endpoint, request: Request) -> Mapping[str, str]:
    """Return the headers, with what the query string may give instead of a header.

    These are the tenant of a visitor, and the token if the endpoint's query model has one: a browser's EventSource
    cannot send request headers.
    """
    headers, found = get_headers(request), {}
    query: Mapping[str, str] = request.query_params or {}
    if takes_token(endpoint) and not is_empty(query.get("token")) and not callers.get_token(headers):
        found["token"] = query["token"]
    if Role.PUBLIC in endpoint.callers and not is_empty(query.get("tenantId")) and "tenantid" not in headers:
        found["tenantid"] = query["tenantId"]
    return {**headers, **found}


def get_client_address(request: Request) -> str:
    """Return the client's IP address. See `addresses.determine_client_address` for errors."""
    source = str(request.context.get("identity", {}).get("sourceIp", ""))
    forwarded_for = request.headers.get("x-forwarded-for", "")
    return addresses.determine_client_address(source, forwarded_for, settings.trusted_proxies)


def takes_token(endpoint: Endpoint) -> bool:
    """Return whether the query string of an endpoint has the token, as that of /notify."""
    return "token" in getattr(endpoint.parameters.get("query"), "model_fields", ())


def parse_body_or_query(endpoint: Endpoint, request: Request) -> Any:
    """Return the body or query of an endpoint that has one of them, else None; see `parse_parameter` for errors."""
    name = next((one for one in ("body", "query") if one in endpoint.parameters), "")
    return parse_parameter(endpoint, name, request, {}) if name else None


def parse_parameter(endpoint: Endpoint, name: str, request: Request, path_parameters: Mapping[str, str]) -> Any:
    """Return the argument for one parameter of the view, except caller and batch.

    Raises:
        ApiError: 400 if the input does not fit the annotation, 413 if the body is too large, 415 if it is neither JSON
            nor a form.
    """
    try:
        match name:
            case "body":
                return _parse_body(endpoint.parameters[name], request)
            case "query":
                return parse_fields(endpoint.parameters[name], request.query_params or {})
            case "idempotency_key":
                return _IDEMPOTENCY_KEY_ADAPTER.validate_python(get_headers(request).get("idempotency-key"))
            case "last_event_id":
                return get_headers(request).get("last-event-id")
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
        model = endpoint.parameters[name] if name in ("body", "query") else None
        raise ApiError(errors.BAD_PARAMETER, format_validation_error(error, label, model)) from None


def require_same_tenant(endpoint: Endpoint, request: Request, caller: Caller) -> None:
    """Raise ApiError 403 if the query or body, which are valid, name another tenant than the caller's."""
    query: Mapping[str, str] = request.query_params or {}
    named = [query.get("tenantId")]
    if "body" in endpoint.parameters:
        body, is_form = _read_body_and_kind(request)
        if is_form:
            named.append(forms.parse(endpoint.parameters["body"], body).get("tenantId"))
        elif b"tenantId" in body:
            named.append(json.loads(body).get("tenantId"))
    for tenant in named:
        callers.require_same_tenant("" if is_empty(tenant) else str(tenant), caller)


def _parse_body(model: type[WireModel], request: Request) -> WireModel:
    """Return the body of a request, which may be empty if the model has no required fields."""
    body, is_form = _read_body_and_kind(request)
    return parse_fields(model, forms.parse(model, body)) if is_form else parse_json(model, body)


def _read_body_and_kind(request: Request) -> tuple[bytes, bool]:
    """Return the body without a byte order mark, `{}` for an empty one, and whether it is a form; else it is JSON.

    Raises:
        ApiError: 413, or 415 for a body of another content type.
    """
    body, kind = _read_body(request).removeprefix(codecs.BOM_UTF8), request.headers.get("content-type", "")
    if body.strip() in _EMPTY_BODIES:
        return b"{}", False
    if kind.startswith(JSON_TYPE):
        return body, False
    types = {one.strip().lower() for one in re.split("[,;]", kind)}
    if types & _JSON_TYPES:
        return body, False
    if FORM_TYPE not in types:
        raise ApiError(errors.UNSUPPORTED_MEDIA)
    return body, not body.lstrip().startswith((b"{", b"["))  # axios sends a JSON text as a form


def _read_body(request: Request) -> bytes:
    try:
        body = request.raw_body
    except ValueError:  # invalid base64 or a lone surrogate
        raise ApiError(errors.BAD_PARAMETER, f"{BODY_LABEL}：{INVALID_JSON_TEXT}") from None
    if len(body) > settings.max_body_bytes:
        raise ApiError(errors.TOO_LARGE)
    return body.encode() if isinstance(body, str) else body
