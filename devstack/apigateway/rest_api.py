"""API Gateway's part of a request: build the Lambda event, convert the result, and build error responses."""

import base64
import json
import time
import traceback
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalice.app import Chalice
from chalice.local import LambdaContext, RouteMatcher

from chalicelib.http import bodies, routing
from devstack.console import print_line

MAX_REQUEST_BYTES = 10 * 1024 * 1024  # limit of API Gateway
MAX_RESPONSE_BYTES = 6 * 1024 * 1024  # limit of Lambda
TIMEOUT_MS = 29_000  # integration timeout of API Gateway
STAGE = "api"


@dataclass(frozen=True)
class HttpRequest:
    """A received HTTP request; the headers keep their order and spelling."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    address: str


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP response; a header may occur several times."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def handle_request(app: Chalice, matcher: RouteMatcher, request: HttpRequest) -> HttpResponse:
    """Return the response of API Gateway for a request to this app."""
    try:
        match = matcher.match_route(request.target)
    except ValueError:
        return build_error(404)
    methods = app.routes[match.route]
    if request.method not in methods:
        return build_preflight(methods) if request.method == "OPTIONS" else build_error(404)
    context = LambdaContext("zhenxun-local", 1024, TIMEOUT_MS)
    try:
        return parse_lambda_response(app(build_event(request, match.route, match.captured), context))
    except Exception:
        print_line(traceback.format_exc())
        return build_error(502)


def build_event(request: HttpRequest, route: str, captured: dict[str, str]) -> dict[str, Any]:
    """Build the event of a Lambda proxy integration, payload format 1.0, with every field that AWS documents."""
    url = urlsplit(request.target)
    headers = group_headers([*request.headers, *build_forwarded_headers(request)])
    queries = parse_qs(url.query, keep_blank_values=True)
    body, encoded = encode_body(request, bodies.BINARY_TYPES)
    return {
        "resource": route,
        "path": url.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in queries.items()} or None,
        "multiValueQueryStringParameters": queries or None,
        "pathParameters": captured or None,
        "stageVariables": None,
        "requestContext": build_request_context(request, route, url.path),
        "body": body,
        "isBase64Encoded": encoded,
    }


def build_request_context(request: HttpRequest, route: str, path: str) -> dict[str, Any]:
    """Build the requestContext of an event."""
    headers = {name.lower(): value for name, value in request.headers}
    now = time.time()
    return {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": headers.get("host", "127.0.0.1"),
        "domainPrefix": headers.get("host", "127.0.0.1").split(".")[0],
        "extendedRequestId": base64.b64encode(uuid.uuid4().bytes).decode(),
        "httpMethod": request.method,
        "identity": {"sourceIp": request.address, "userAgent": headers.get("user-agent")},
        "path": f"/{STAGE}{path}",
        "protocol": "HTTP/1.1",
        "requestId": str(uuid.uuid4()),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "requestTimeEpoch": int(now * 1000),
        "resourceId": "local",
        "resourcePath": route,
        "stage": STAGE,
    }


def build_forwarded_headers(request: HttpRequest) -> list[tuple[str, str]]:
    """Append the client's address to X-Forwarded-For, as API Gateway does; the last value is the trusted one."""
    forwarded = [value for name, value in request.headers if name.lower() == "x-forwarded-for"]
    return [("X-Forwarded-For", ", ".join([*forwarded, request.address])), ("X-Forwarded-Proto", "http")]


def group_headers(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Group header values by name; a name in several spellings gets the first one."""
    spellings: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(spellings.setdefault(name.lower(), name), []).append(value)
    return values


def encode_body(request: HttpRequest, binary_types: list[str]) -> tuple[str | None, bool]:
    """Return the body as text, or in base64 if its type is a binary type of the API, and whether it is base64."""
    if not request.body:
        return None, False
    content_type = next(
        (value for name, value in request.headers if name.lower() == "content-type"), "application/json"
    )
    media_type = content_type.split(";")[0].strip().lower()
    if {"*/*", media_type, f"{media_type.split('/')[0]}/*"} & set(binary_types):
        return base64.b64encode(request.body).decode(), True
    return request.body.decode("utf-8", "replace"), False


def parse_lambda_response(result: dict[str, Any]) -> HttpResponse:
    """Convert a Lambda's result to a response.

    Raises:
        TypeError: the result is not JSON, or its body is not text.
        ValueError: the response exceeds Lambda's limit.
    """
    json.dumps({**result, "body": None})
    text = result["body"]
    if not isinstance(text, str | None):
        raise TypeError(f"the body of a Lambda result must be text, not {type(text).__name__}")
    body = base64.b64decode(text or "") if result.get("isBase64Encoded") else (text or "").encode()
    if len(body) > MAX_RESPONSE_BYTES:
        raise ValueError(f"a response of {len(body)} bytes exceeds Lambda's limit")
    single = [(name, str(value)) for name, value in result["headers"].items()]
    multiple = [(name, str(value)) for name, values in result["multiValueHeaders"].items() for value in values]
    return HttpResponse(result["statusCode"], add_content_type([*single, *multiple]), body)


def add_content_type(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Add API Gateway's default content type if there is none."""
    has_type = any(name.lower() == "content-type" for name, _ in headers)
    return headers if has_type else [("Content-Type", "application/json"), *headers]


def build_preflight(methods: dict[str, Any]) -> HttpResponse:
    """Build the response to OPTIONS that Chalice configures in API Gateway."""
    cors = next((entry.cors for entry in methods.values() if entry.cors), None)
    allowed = ("Access-Control-Allow-Methods", ",".join([*methods, "OPTIONS"]))
    headers = cors.get_access_control_headers() if cors else {}
    return HttpResponse(200, [allowed, *((name, str(value)) for name, value in headers.items())], b"")


def build_error(status: int) -> HttpResponse:
    """Build an error of API Gateway itself in our envelope, as the gateway responses of the deployed API do."""
    headers, body = routing.build_gateway_error(status)
    return HttpResponse(status, [*headers.items(), ("X-Request-Id", str(uuid.uuid4()))], body.encode())
