"""HTTP responses: results, errors and bugs of views are sent in the envelope and reveal nothing else."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from chalice.app import Chalice

from app import app
from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.http import envelopes, request_input, routing
from chalicelib.http.routing import OptionalTenantCaller, RawContent, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.logs import JsonFormatter
from chalicelib.people import tenants
from chalicelib.settings import settings
from tests.support.client import ApiResponse, build_event, call, check_envelope

SECRET = "SELECT phone FROM accounts -- 林小雨 13800000001"
routes = Routes(__name__)


@routes.get("/address", callers=[Role.PUBLIC])
def address(caller: Caller) -> str:
    return caller.address


@routes.get("/tenant", callers=[Role.PUBLIC])
def tenant_of_visitor(caller: OptionalTenantCaller) -> int:
    return caller.tenant_id


@routes.get("/bug", callers=[Role.PUBLIC])
def bug() -> None:
    raise RuntimeError(SECRET)


@routes.get("/unserializable", callers=[Role.PUBLIC])
def unserializable() -> str:
    return "\ud800"


@routes.get("/busy", callers=[Role.PUBLIC])
def busy() -> None:
    raise ApiError(errors.TOO_MANY_REQUESTS, retry_after=7)


@routes.get("/full", callers=[Role.PUBLIC])
def full() -> None:
    raise ApiError(errors.CONFLICT, "号源已满")


@routes.get("/picture", callers=[Role.PUBLIC], raw_content_type="image/png")
def picture() -> RawContent:
    return RawContent("image/png", b"\x89PNG\xff\x00")


@routes.get("/lines", callers=[Role.PUBLIC], raw_content_type="text/event-stream")
def lines_of_text() -> RawContent:
    return RawContent("text/event-stream", "data: 您好\n\n")


http_app = Chalice(app_name="test", configure_logs=False)
http_app.api.binary_types = []
http_app.register_middleware(routing.wrap_request, "http")
http_app.register_blueprint(routes)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that returns the logged lines."""
    caplog.handler.setFormatter(JsonFormatter())
    return lambda: [json.loads(line) for line in caplog.text.splitlines()]


@pytest.fixture(scope="module")
def tenant() -> str:
    """The tenantId of a hospital without people."""
    return str(mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院")))


def send(request: dict[str, Any]) -> ApiResponse:
    raw = http_app(request, SimpleNamespace(aws_request_id="id of the function"))
    response = ApiResponse(raw["statusCode"], raw["headers"], json.loads(raw["body"]))
    check_envelope(response)
    return response


def request(tenant: str, path: str, **headers: str) -> ApiResponse:
    return send(build_event("GET", path, {"tenantId": tenant, **headers}))


@pytest.mark.parametrize(
    ("path", "error"), [("/bug", "RuntimeError"), ("/unserializable", "PydanticSerializationError")]
)
def test_bug_is_logged_with_its_stack_and_not_shown_to_the_client(
    tenant: str, lines: Any, path: str, error: str
) -> None:
    response = request(tenant, path)
    assert response.status == 500
    assert response.body == {"code": 10002, "error": "服务器内部错误，请稍后再试"}
    unhandled, logged = lines()
    assert (unhandled["level"], unhandled["event"], unhandled["error"].rpartition(".")[2]) == (
        "ERROR",
        "unhandled",
        error,
    )
    assert any(place.startswith("routing.py:") for place in unhandled["stack"])
    assert str(unhandled["tenant_id"]) == tenant
    assert (logged["status"], logged["code"]) == (500, 10002)
    assert unhandled["request_id"] == logged["request_id"] == response.headers["X-Request-Id"]
    for word in ("林小雨", "13800000001", "SELECT"):
        assert word not in json.dumps([unhandled, logged], ensure_ascii=False)


@pytest.mark.parametrize("accept", [{}, {"Accept": "text/html"}, {"Accept": "image/png"}])
def test_bytes_are_sent_as_base64_and_text_unchanged(tenant: str, accept: dict[str, str]) -> None:
    picture = http_app(build_event("GET", "/picture", {"tenantId": tenant, **accept}), None)
    assert (picture["statusCode"], picture["headers"]["Content-Type"]) == (200, "image/png")
    assert (picture["isBase64Encoded"], base64.b64decode(picture["body"])) == (True, b"\x89PNG\xff\x00")
    text = http_app(build_event("GET", "/lines", {"tenantId": tenant, **accept}), None)
    assert (text["isBase64Encoded"], text["body"]) == (False, "data: 您好\n\n")
    for response in (picture, text):
        assert response["headers"]["X-Request-Id"]
        assert response["headers"]["Cache-Control"] == "no-store"


def test_body_of_a_get_may_be_base64(tenant: str) -> None:
    request = build_event("GET", "/address", {"tenantId": tenant})
    assert send({**request, "body": base64.b64encode(b"{}").decode(), "isBase64Encoded": True}).status == 200


def test_error_has_a_retry_after_header(tenant: str) -> None:
    response = request(tenant, "/busy")
    assert (response.status, response.code, response.error) == (429, 10006, "操作太频繁，请稍后再试")
    assert response.headers["Retry-After"] == "7"


def test_request_id_is_that_of_the_gateway_or_the_function(tenant: str) -> None:
    request = build_event("GET", "/address", {"tenantId": tenant})
    assert send(request).headers["X-Request-Id"] == request["requestContext"]["requestId"]
    del request["requestContext"]["requestId"]
    assert send(request).headers["X-Request-Id"] == "id of the function"


def test_error_may_have_its_own_text(tenant: str) -> None:
    response = request(tenant, "/full")
    assert (response.status, response.code, response.error) == (409, 10005, "号源已满")
    assert "Retry-After" not in response.headers


def test_every_request_is_logged_with_its_id(tenant: str, lines: Any) -> None:
    responses = [request(tenant, path) for path in ("/address", "/busy", "/full")]
    responses.append(send(build_event("POST", "/address", {})))
    logged = lines()
    assert [line["event"] for line in logged] == ["request"] * 4
    assert [line["request_id"] for line in logged] == [response.headers["X-Request-Id"] for response in responses]
    assert [line["status"] for line in logged] == [200, 429, 409, 405]
    assert [line["route"] for line in logged] == ["/address", "/busy", "/full", "/address"]
    assert ["tenant_id" in line for line in logged] == [True, True, True, False]
    assert all(line["ms"] >= 0 for line in logged)


def test_client_address_is_the_one_seen_by_the_gateway(tenant: str) -> None:
    assert request(tenant, "/address").data == "203.0.113.7"
    assert request(tenant, "/address", **{"X-Forwarded-For": "6.6.6.6"}).data == "203.0.113.7"


@pytest.fixture
def behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_input, "settings", replace(settings, trusted_proxies=1))


@pytest.mark.usefixtures("behind_a_proxy")
def test_client_address_is_the_one_seen_by_the_trusted_proxy(tenant: str) -> None:
    forwarded = "6.6.6.6, 198.51.100.9, 203.0.113.7"
    assert request(tenant, "/address", **{"x-forwarded-for": forwarded}).data == "198.51.100.9"


@pytest.mark.usefixtures("behind_a_proxy")
@pytest.mark.parametrize("forwarded", ["203.0.113.7", "1, 203.0.113.7", "6.6.6.6, " * 1_000])
def test_request_with_an_unusable_address_is_rejected(tenant: str, forwarded: str) -> None:
    response = request(tenant, "/address", **{"x-forwarded-for": forwarded})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("X-Forwarded-For：")


@pytest.mark.usefixtures("behind_a_proxy")
def test_endpoint_that_needs_no_tenant_needs_no_address(tenant: str) -> None:
    """WeChat Pay's notifications are signed, and come from wherever WeChat Pay is."""
    assert request(tenant, "/tenant").data == int(tenant)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((400, 10001), (401, 10101), (403, 10003), (404, 10004), (405, 10010), (413, 10008), (415, 10009)),
        *((429, 10006), (500, 10002), (503, 10007), (504, 10011), (418, 10001), (502, 10002)),
    ],
)
def test_gateway_error_has_the_fields_of_both_envelopes(status: int, code: int) -> None:
    headers, body = routing.build_gateway_error(status)
    fields, all_headers = json.loads(body), {**headers, "X-Request-Id": "the gateway's own"}
    for path, names in (("", ("code", "error")), ("/message/", ("error_code", "error_msg", "data", "count"))):
        check_envelope(ApiResponse(status, all_headers, {name: fields.pop(name) for name in names}), path)
    assert fields == {}
    assert json.loads(body)["code"] == code
    assert ("Retry-After" in headers) == (status in (429, 503))
    headers.clear()
    assert routing.build_gateway_error(status)[0]


def test_messagecenter_result_without_a_count_has_count_0() -> None:
    body = json.loads(envelopes.wrap_success("/message/closeChatSession", "null", counted=False))
    assert body == {"error_code": 0, "error_msg": "", "data": None, "count": 0}


def test_cors_allows_our_headers(tenant: str) -> None:
    for methods in app.routes.values():
        for route in methods.values():
            allowed = route.cors.get_access_control_headers()
            assert allowed["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in allowed
            headers = set(allowed["Access-Control-Allow-Headers"].split(","))
            assert {"token", "tenantId", "Authorization", "Content-Type", "Idempotency-Key"} <= headers
            assert {"X-Requested-With", "Cache-Control", "Pragma"} <= headers
    response = request(tenant, "/busy")
    assert set(response.headers["Access-Control-Expose-Headers"].split(",")) == {"X-Request-Id", "Retry-After"}


def test_app_uses_the_middleware() -> None:
    assert call("GET", "/inner/get_token").status == 405
    assert call("POST", "/inner/get_token", body="", headers={"Content-Type": "text/xml"}).status == 401
