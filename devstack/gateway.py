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
from devstack.say import line

REQUEST_LIMIT = 10 * 1024 * 1024  # of API Gateway
ANSWER_LIMIT = 6 * 1024 * 1024  # of Lambda
TIME_LIMIT = 29_000  # milliseconds, of API Gateway
STAGE = "api"


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire; headers in their order, names as written."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    address: str


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def respond(app: Chalice, matcher: RouteMatcher, asked: Asked) -> Answer:
    """What API Gateway with this app behind it would answer."""
    try:
        found = matcher.match_route(asked.target)
    except ValueError:
        return refusal(404)
    methods = app.routes[found.route]
    if asked.method not in methods:
        return preflight(methods) if asked.method == "OPTIONS" else refusal(404)
    context = LambdaContext("zhenxun-local", 1024, TIME_LIMIT)
    try:
        return answer_of(app(event(asked, found.route, found.captured), context))
    except Exception:
        line(traceback.format_exc())
        return refusal(502)


def event(asked: Asked, route: str, captured: dict[str, str]) -> dict[str, Any]:
    """The event of a Lambda proxy integration, in its version 1.0, with every field that AWS documents."""
    url = urlsplit(asked.target)
    headers = multi([*asked.headers, *forwarded(asked)])
    queries = parse_qs(url.query, keep_blank_values=True)
    body, encoded = body_of(asked, bodies.BINARY_TYPES)
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
        "requestContext": request_context(asked, route, url.path),
        "body": body,
        "isBase64Encoded": encoded,
    }


def request_context(asked: Asked, route: str, path: str) -> dict[str, Any]:
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


def forwarded(asked: Asked) -> list[tuple[str, str]]:
    """API Gateway names whom it spoke to behind those whom proxies before it named; the last value counts."""
    before = [value for name, value in asked.headers if name.lower() == "x-forwarded-for"]
    return [("X-Forwarded-For", ", ".join([*before, asked.address])), ("X-Forwarded-Proto", "http")]


def multi(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Values by name; a name that comes in several spellings keeps its first."""
    spelt: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(spelt.setdefault(name.lower(), name), []).append(value)
    return values


def body_of(asked: Asked, binary_types: list[str]) -> tuple[str | None, bool]:
    """As text, or base64 where the content type is one of the API's binary types."""
    if not asked.body:
        return None, False
    declared = next((value for name, value in asked.headers if name.lower() == "content-type"), "application/json")
    kind = declared.split(";")[0].strip().lower()
    if {"*/*", kind, f"{kind.split('/')[0]}/*"} & set(binary_types):
        return base64.b64encode(asked.body).decode(), True
    return asked.body.decode("utf-8", "replace"), False


def answer_of(returned: dict[str, Any]) -> Answer:
    """Raises where Lambda or API Gateway would not have passed it on."""
    json.dumps({**returned, "body": None})
    text = returned["body"]
    if not isinstance(text, str | None):
        raise TypeError(f"a Lambda's body is text, not {type(text).__name__}")
    body = base64.b64decode(text or "") if returned.get("isBase64Encoded") else (text or "").encode()
    if len(body) > ANSWER_LIMIT:
        raise ValueError(f"an answer of {len(body)} bytes is more than Lambda takes")
    single = [(name, str(value)) for name, value in returned["headers"].items()]
    several = [(name, str(value)) for name, values in returned["multiValueHeaders"].items() for value in values]
    return Answer(returned["statusCode"], typed([*single, *several]), body)


def typed(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    named = any(name.lower() == "content-type" for name, _ in headers)
    return headers if named else [("Content-Type", "application/json"), *headers]


def preflight(methods: dict[str, Any]) -> Answer:
    """What Chalice has API Gateway answer to OPTIONS."""
    cors = next((entry.cors for entry in methods.values() if entry.cors), None)
    allowed = ("Access-Control-Allow-Methods", ",".join([*methods, "OPTIONS"]))
    headers = cors.get_access_control_headers() if cors else {}
    return Answer(200, [allowed, *((name, str(value)) for name, value in headers.items())], b"")


def refusal(status: int) -> Answer:
    """An error that no function saw, in our envelope: what the deployed API's gateway responses say."""
    headers, body = routing.build_gateway_error(status)
    return Answer(status, [*headers.items(), ("X-Request-Id", str(uuid.uuid4()))], body.encode())
