"""API Gateway's half of a request: the event a Lambda is given, and the errors that never reach one."""

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

MAX_REQUEST_BYTES = 10 * 1024 * 1024  # of API Gateway
MAX_RESPONSE_BYTES = 6 * 1024 * 1024  # of Lambda
TIMEOUT_MS = 29_000  # milliseconds, of API Gateway
STAGE = "api"


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire; headers in their order, names as written."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    address: str


@dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def handle_request(app: Chalice, matcher: RouteMatcher, asked: HttpRequest) -> HttpResponse:
    """What API Gateway with this app behind it would answer."""
    try:
        found = matcher.match_route(asked.target)
    except ValueError:
        return build_error(404)
    methods = app.routes[found.route]
    if asked.method not in methods:
        return build_preflight(methods) if asked.method == "OPTIONS" else build_error(404)
    context = LambdaContext("zhenxun-local", 1024, TIMEOUT_MS)
    try:
        return parse_lambda_response(app(build_event(asked, found.route, found.captured), context))
    except Exception:
        print_line(traceback.format_exc())
        return build_error(502)


def build_event(asked: HttpRequest, route: str, captured: dict[str, str]) -> dict[str, Any]:
    """The event of a Lambda proxy integration, in its version 1.0, with every field that AWS documents."""
    url = urlsplit(asked.target)
    headers = group_headers([*asked.headers, *build_forwarded_headers(asked)])
    queries = parse_qs(url.query, keep_blank_values=True)
    body, encoded = encode_body(asked, bodies.BINARY_TYPES)
    return {
        "resource": route,
        "path": url.path,
        "httpMethod": asked.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in queries.items()} or None,
        "multiValueQueryStringParameters": queries or None,
        "pathParameters": captured or None,
        "stageVariables": None,
        "requestContext": build_request_context(asked, route, url.path),
        "body": body,
        "isBase64Encoded": encoded,
    }


def build_request_context(asked: HttpRequest, route: str, path: str) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in asked.headers}
    now = time.time()
    return {
        "accountId": "123456789012",
        "apiId": "local",
        "domainName": headers.get("host", "127.0.0.1"),
        "domainPrefix": headers.get("host", "127.0.0.1").split(".")[0],
        "extendedRequestId": base64.b64encode(uuid.uuid4().bytes).decode(),
        "httpMethod": asked.method,
        "identity": {"sourceIp": asked.address, "userAgent": headers.get("user-agent")},
        "path": f"/{STAGE}{path}",
        "protocol": "HTTP/1.1",
        "requestId": str(uuid.uuid4()),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "requestTimeEpoch": int(now * 1000),
        "resourceId": "local",
        "resourcePath": route,
        "stage": STAGE,
    }


def build_forwarded_headers(asked: HttpRequest) -> list[tuple[str, str]]:
    """API Gateway names whom it spoke to behind those whom proxies before it named; the last value counts."""
    before = [value for name, value in asked.headers if name.lower() == "x-forwarded-for"]
    return [("X-Forwarded-For", ", ".join([*before, asked.address])), ("X-Forwarded-Proto", "http")]


def group_headers(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Values by name; a name that comes in several spellings keeps its first."""
    spelt: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(spelt.setdefault(name.lower(), name), []).append(value)
    return values


def encode_body(asked: HttpRequest, binary_types: list[str]) -> tuple[str | None, bool]:
    """As text, or base64 where the content type is one of the API's binary types."""
    if not asked.body:
        return None, False
    declared = next((value for name, value in asked.headers if name.lower() == "content-type"), "application/json")
    kind = declared.split(";")[0].strip().lower()
    if {"*/*", kind, f"{kind.split('/')[0]}/*"} & set(binary_types):
        return base64.b64encode(asked.body).decode(), True
    return asked.body.decode("utf-8", "replace"), False


def parse_lambda_response(returned: dict[str, Any]) -> HttpResponse:
    """Raises where Lambda or API Gateway would not have passed it on."""
    json.dumps({**returned, "body": None})
    text = returned["body"]
    if not isinstance(text, str | None):
        raise TypeError(f"a Lambda's body is text, not {type(text).__name__}")
    body = base64.b64decode(text or "") if returned.get("isBase64Encoded") else (text or "").encode()
    if len(body) > MAX_RESPONSE_BYTES:
        raise ValueError(f"an answer of {len(body)} bytes is more than Lambda takes")
    single = [(name, str(value)) for name, value in returned["headers"].items()]
    several = [(name, str(value)) for name, values in returned["multiValueHeaders"].items() for value in values]
    return HttpResponse(returned["statusCode"], add_content_type([*single, *several]), body)


def add_content_type(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    named = any(name.lower() == "content-type" for name, _ in headers)
    return headers if named else [("Content-Type", "application/json"), *headers]


def build_preflight(methods: dict[str, Any]) -> HttpResponse:
    """What Chalice has API Gateway answer to OPTIONS."""
    cors = next((entry.cors for entry in methods.values() if entry.cors), None)
    allowed = ("Access-Control-Allow-Methods", ",".join([*methods, "OPTIONS"]))
    headers = cors.get_access_control_headers() if cors else {}
    return HttpResponse(200, [allowed, *((name, str(value)) for name, value in headers.items())], b"")


def build_error(status: int) -> HttpResponse:
    """An error that no function saw, in our envelope: what the deployed API's gateway responses say."""
    headers, body = routing.build_gateway_error(status)
    return HttpResponse(status, [*headers.items(), ("X-Request-Id", str(uuid.uuid4()))], body.encode())
