"""Requests as API Gateway hands them to a function, and answers as a client sees them."""

import base64
import json
import re
import uuid
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlencode

from chalice.local import CustomLocalChalice, LocalChalice

from app import app
from chalicelib.http.envelopes import is_messagecenter_path
from tests.support.contract import check_answer

# Threads of a test are requests side by side: each has a current request of its own, as under `chalice local`.
CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
app.__class__ = CustomLocalChalice


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    content: bytes = b""  # of an answer in no envelope

    @property
    def data(self) -> Any:
        assert self.status == 200, self.body
        return self.body["data"]

    @property
    def code(self) -> int:
        return int(self.body["code"] if "code" in self.body else self.body["error_code"])

    @property
    def error(self) -> str:
        return str(self.body["error"] if "error" in self.body else self.body["error_msg"])


def get(path: str, token: str = "", headers: dict[str, str] | None = None, **query: Any) -> Answer:
    return call("GET", path, token, headers, query=query)


def post(path: str, token: str = "", headers: dict[str, str] | None = None, **body: Any) -> Answer:
    return call("POST", path, token, headers, body=json.dumps(body))


def call(
    method: str,
    path: str,
    token: str = "",
    headers: dict[str, str] | None = None,
    *,
    query: dict[str, Any] | None = None,
    body: str | None = None,
) -> Answer:
    """Send one request through the whole handler; every answer must be in its envelope, every 200 as contracted."""
    sent = {"Content-Type": "application/json"} if body is not None else {}
    sent |= {"token": token} if token else {}
    answer = invoke(build_event(method, path, sent | (headers or {}), query, body))
    check_envelope(answer, path)
    if answer.status == 200 and not answer.content:
        check_answer(method, path, answer.body if is_messagecenter_path(path) else answer.data)
    return answer


def invoke(request: dict[str, Any]) -> Answer:
    function = SimpleNamespace(aws_request_id=str(uuid.uuid4()), get_remaining_time_in_millis=lambda: 29_000)
    raw = app(request, function)
    assert isinstance(raw["body"], str)
    if raw["headers"]["Content-Type"].startswith("application/json") and raw["body"]:
        assert not raw.get("isBase64Encoded")
        return Answer(raw["statusCode"], raw["headers"], json.loads(raw["body"]))
    content = base64.b64decode(raw["body"]) if raw.get("isBase64Encoded") else raw["body"].encode()
    return Answer(raw["statusCode"], raw["headers"], {}, content)


def build_event(
    method: str, path: str, headers: dict[str, str], query: dict[str, Any] | None = None, body: str | None = None
) -> dict[str, Any]:
    pairs = parse_qs(urlencode(query or {}), keep_blank_values=True)
    resource, parts = match_route(path)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "api.example.com", **headers},
        "multiValueQueryStringParameters": pairs or None,
        "queryStringParameters": {name: values[-1] for name, values in pairs.items()} or None,
        "pathParameters": parts,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "requestId": str(uuid.uuid4()),
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def match_route(path: str) -> tuple[str, dict[str, str]]:
    """Return the route as it was declared, and the parts of the path that stand for its names.

    A file at the root has a dot in its name: the other paths there are those of apps that a test has made.
    """
    if "." not in path and path.count("/") == 1:
        return path, {}
    for route in [] if path in app.routes and "{" not in path else app.routes:
        names = re.findall(r"\{(\w+)\}", route)
        found = names and re.fullmatch(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(route)), path)
        if found:
            return route, dict(zip(names, found.groups(), strict=True))
    return path, {}


def check_envelope(answer: Answer, path: str = "") -> None:
    assert answer.headers["X-Request-Id"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"
    if answer.content:
        assert answer.status == 200, "a refusal is in the envelope, whatever was asked for"
        return
    assert answer.headers["Content-Type"].startswith("application/json")
    if is_messagecenter_path(path):
        assert answer.body.keys() == {"error_code", "error_msg", "data", "count"}
        assert (answer.status == 200) == (answer.code == 0) == (answer.error == "")
        assert answer.status == 200 or (answer.body["data"], answer.body["count"]) == (None, 0)
    elif answer.status == 200:
        assert answer.body.keys() == {"code", "data"}
        assert answer.code == 0
    else:
        assert answer.body.keys() == {"code", "error"}
        assert answer.code >= 10001
        assert answer.error
