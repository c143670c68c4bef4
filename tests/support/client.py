"""Send requests to the app as API Gateway does, and check the responses."""

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
from tests.support.contract import check_response

# Threads of a test are concurrent requests: each has its own current request, as in `chalice local`.
CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
app.__class__ = CustomLocalChalice


@dataclass(frozen=True)
class ApiResponse:
    """A response, with its envelope decoded."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    content: bytes = b""  # of a response without an envelope

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


def get(path: str, token: str = "", headers: dict[str, str] | None = None, **query: Any) -> ApiResponse:
    return call("GET", path, token, headers, query=query)


def post(path: str, token: str = "", headers: dict[str, str] | None = None, **body: Any) -> ApiResponse:
    return call("POST", path, token, headers, body=json.dumps(body))


def call(
    method: str,
    path: str,
    token: str = "",
    headers: dict[str, str] | None = None,
    *,
    query: dict[str, Any] | None = None,
    body: str | None = None,
) -> ApiResponse:
    """Send a request to the app and return the response.

    Each response is checked against its envelope, and each 200 against the contract.
    """
    defaults = {"Content-Type": "application/json"} if body is not None else {}
    defaults |= {"token": token} if token else {}
    response = invoke(build_event(method, path, defaults | (headers or {}), query, body))
    check_envelope(response, path)
    if response.status == 200 and not response.content:
        check_response(method, path, response.body if is_messagecenter_path(path) else response.data)
    return response


def invoke(request: dict[str, Any]) -> ApiResponse:
    function = SimpleNamespace(aws_request_id=str(uuid.uuid4()), get_remaining_time_in_millis=lambda: 29_000)
    raw = app(request, function)
    assert isinstance(raw["body"], str)
    if raw["headers"]["Content-Type"].startswith("application/json") and raw["body"]:
        assert not raw.get("isBase64Encoded")
        return ApiResponse(raw["statusCode"], raw["headers"], json.loads(raw["body"]))
    content = base64.b64decode(raw["body"]) if raw.get("isBase64Encoded") else raw["body"].encode()
    return ApiResponse(raw["statusCode"], raw["headers"], {}, content)


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


def build_schedule_event() -> dict[str, object]:
    """Return the event with which EventBridge starts a scheduled function."""
    names = ("version", "account", "region", "source", "time", "id")
    return {**dict.fromkeys(names, ""), "detail-type": "Scheduled Event", "detail": {}, "resources": []}


def match_route(path: str) -> tuple[str, dict[str, str]]:
    """Return the declared route of a path and its path parameters.

    Of the paths with one part, only those with a dot are matched, for the files at the root: the others belong to apps
    that tests create.
    """
    if "." not in path and path.count("/") == 1:
        return path, {}
    for route in [] if path in app.routes and "{" not in path else app.routes:
        names = re.findall(r"\{(\w+)\}", route)
        match = names and re.fullmatch(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(route)), path)
        if match:
            return route, dict(zip(names, match.groups(), strict=True))
    return path, {}


def check_envelope(response: ApiResponse, path: str = "") -> None:
    assert response.headers["X-Request-Id"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "no-store"
    if response.content:
        assert response.status == 200, "errors are sent in the envelope"
        return
    assert response.headers["Content-Type"].startswith("application/json")
    if is_messagecenter_path(path):
        assert response.body.keys() == {"error_code", "error_msg", "data", "count"}
        assert (response.status == 200) == (response.code == 0) == (response.error == "")
        assert response.status == 200 or (response.body["data"], response.body["count"]) == (None, 0)
    elif response.status == 200:
        assert response.body.keys() == {"code", "data"}
        assert response.code == 0
    else:
        data_fields = {"data"} if path.endswith("/pay/appo_order") and response.status == 409 else set()
        assert response.body.keys() == {"code", "error"} | data_fields
        assert response.code >= 10001
        assert response.error
