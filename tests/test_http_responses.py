"""The door, from inside: what a view answers, refuses or breaks on leaves in the envelope, and tells no secret."""

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
from chalicelib.http import routing
from chalicelib.http.routing import RawContent, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.logs import JsonFormatter
from chalicelib.people import tenants
from chalicelib.settings import settings
from tests.support.client import Answer, build_event, call, check_envelope

SECRET = "SELECT phone FROM accounts -- 林小雨 13800000001"
routes = Routes(__name__)


@routes.get("/address", callers=[Role.PUBLIC])
def address(caller: Caller) -> str:
    return caller.address


@routes.get("/bug", callers=[Role.PUBLIC])
def bug() -> None:
    raise RuntimeError(SECRET)


@routes.get("/unspeakable", callers=[Role.PUBLIC])
def unspeakable() -> str:
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


door = Chalice(app_name="door", configure_logs=False)
door.api.binary_types = []
door.register_middleware(routing.wrap_request, "http")
door.register_blueprint(routes)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """lines(): what was logged, as it is printed."""
    caplog.handler.setFormatter(JsonFormatter())
    return lambda: [json.loads(line) for line in caplog.text.splitlines()]


@pytest.fixture(scope="module")
def tenant() -> str:
    """A hospital without people, as a header names it."""
    return str(mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院")))


def sent(request: dict[str, Any]) -> Answer:
    raw = door(request, SimpleNamespace(aws_request_id="of the function"))
    answer = Answer(raw["statusCode"], raw["headers"], json.loads(raw["body"]))
    check_envelope(answer)
    return answer


def ask(tenant: str, path: str, **headers: str) -> Answer:
    return sent(build_event("GET", path, {"tenantId": tenant, **headers}))


@pytest.mark.parametrize(("path", "error"), [("/bug", "RuntimeError"), ("/unspeakable", "PydanticSerializationError")])
def test_a_bug_tells_its_place_to_the_log_and_nothing_to_the_world(
    tenant: str, lines: Any, path: str, error: str
) -> None:
    answer = ask(tenant, path)
    assert answer.status == 500
    assert answer.body == {"code": 10002, "error": "服务器内部错误，请稍后再试"}
    unhandled, told = lines()
    assert (unhandled["level"], unhandled["event"], unhandled["error"].rpartition(".")[2]) == (
        "ERROR",
        "unhandled",
        error,
    )
    assert any(place.startswith("routing.py:") for place in unhandled["stack"])
    assert str(unhandled["tenant_id"]) == tenant
    assert (told["status"], told["code"]) == (500, 10002)
    assert unhandled["request_id"] == told["request_id"] == answer.headers["X-Request-Id"]
    for word in ("林小雨", "13800000001", "SELECT"):
        assert word not in json.dumps([unhandled, told], ensure_ascii=False)


@pytest.mark.parametrize("accept", [{}, {"Accept": "text/html"}, {"Accept": "image/png"}])
def test_bytes_leave_as_base64_and_text_as_it_is(tenant: str, accept: dict[str, str]) -> None:
    picture = door(build_event("GET", "/picture", {"tenantId": tenant, **accept}), None)
    assert (picture["statusCode"], picture["headers"]["Content-Type"]) == (200, "image/png")
    assert (picture["isBase64Encoded"], base64.b64decode(picture["body"])) == (True, b"\x89PNG\xff\x00")
    text = door(build_event("GET", "/lines", {"tenantId": tenant, **accept}), None)
    assert (text["isBase64Encoded"], text["body"]) == (False, "data: 您好\n\n")
    for answer in (picture, text):
        assert answer["headers"]["X-Request-Id"]
        assert answer["headers"]["Cache-Control"] == "no-store"


def test_a_body_is_read_though_api_gateway_encoded_it(tenant: str) -> None:
    request = build_event("GET", "/address", {"tenantId": tenant})
    assert sent({**request, "body": base64.b64encode(b"{}").decode(), "isBase64Encoded": True}).status == 200


def test_a_refusal_says_when_to_come_back(tenant: str) -> None:
    answer = ask(tenant, "/busy")
    assert (answer.status, answer.code, answer.error) == (429, 10006, "操作太频繁，请稍后再试")
    assert answer.headers["Retry-After"] == "7"


def test_an_answers_id_is_the_gateways_else_the_functions(tenant: str) -> None:
    request = build_event("GET", "/address", {"tenantId": tenant})
    assert sent(request).headers["X-Request-Id"] == request["requestContext"]["requestId"]
    del request["requestContext"]["requestId"]
    assert sent(request).headers["X-Request-Id"] == "of the function"


def test_a_refusal_may_say_its_own_words(tenant: str) -> None:
    answer = ask(tenant, "/full")
    assert (answer.status, answer.code, answer.error) == (409, 10005, "号源已满")
    assert "Retry-After" not in answer.headers


def test_every_answer_has_one_line_in_the_log_with_its_id(tenant: str, lines: Any) -> None:
    answers = [ask(tenant, path) for path in ("/address", "/busy", "/full")]
    answers.append(sent(build_event("POST", "/address", {})))
    told = lines()
    assert [line["event"] for line in told] == ["request"] * 4
    assert [line["request_id"] for line in told] == [answer.headers["X-Request-Id"] for answer in answers]
    assert [line["status"] for line in told] == [200, 429, 409, 405]
    assert [line["route"] for line in told] == ["/address", "/busy", "/full", "/address"]
    assert ["tenant_id" in line for line in told] == [True, True, True, False]
    assert all(line["ms"] >= 0 for line in told)


def test_the_address_is_what_the_gateway_saw(tenant: str) -> None:
    assert ask(tenant, "/address").data == "203.0.113.7"
    assert ask(tenant, "/address", **{"X-Forwarded-For": "6.6.6.6"}).data == "203.0.113.7"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (1, "198.51.100.9, 203.0.113.7", "198.51.100.9"),
        (1, "6.6.6.6, 198.51.100.9,203.0.113.7", "198.51.100.9"),
        (2, "6.6.6.6, 198.51.100.9, 192.0.2.1, 203.0.113.7", "198.51.100.9"),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "", "203.0.113.7"),
    ],
)
def test_behind_proxies_the_address_is_what_the_outermost_saw_whatever_the_client_adds(
    tenant: str, monkeypatch: pytest.MonkeyPatch, proxies: int, forwarded: str, address: str
) -> None:
    monkeypatch.setattr(routing, "settings", replace(settings, trusted_proxies=proxies))
    assert ask(tenant, "/address", **{"x-forwarded-for": forwarded}).data == address


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((400, 10001), (401, 10101), (403, 10003), (404, 10004), (405, 10010), (413, 10008), (415, 10009)),
        *((429, 10006), (500, 10002), (503, 10007), (504, 10011), (418, 10001), (502, 10002)),
    ],
)
def test_an_error_that_the_gateway_makes_wears_both_envelopes(status: int, code: int) -> None:
    headers, body = routing.build_gateway_error(status)
    told, own = json.loads(body), {**headers, "X-Request-Id": "the gateway's own"}
    for path, fields in (("", ("code", "error")), ("/message/", ("error_code", "error_msg", "data", "count"))):
        check_envelope(Answer(status, own, {name: told.pop(name) for name in fields}), path)
    assert told == {}
    assert json.loads(body)["code"] == code
    assert ("Retry-After" in headers) == (status in (429, 503))
    headers.clear()
    assert routing.build_gateway_error(status)[0]


def test_a_browser_may_send_our_headers_and_read_the_answers(tenant: str) -> None:
    for methods in app.routes.values():
        for route in methods.values():
            allowed = route.cors.get_access_control_headers()
            assert allowed["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in allowed
            assert {"token", "tenantId", "Authorization", "Content-Type", "Idempotency-Key"} <= set(
                allowed["Access-Control-Allow-Headers"].split(",")
            )
    answer = ask(tenant, "/busy")
    assert set(answer.headers["Access-Control-Expose-Headers"].split(",")) == {"X-Request-Id", "Retry-After"}


def test_the_apps_own_door_is_this_one() -> None:
    assert call("GET", "/inner/get_token").status == 405
    assert call("POST", "/inner/get_token", body="", headers={"Content-Type": "text/xml"}).status == 415
