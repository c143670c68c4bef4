"""HTTP requests: input is parsed as declared by the view, or rejected in the envelope."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.adapters import mysql
from chalicelib.http import request_input, routing
from chalicelib.http.fields import ChatText, Id, WireModel
from chalicelib.http.routing import IdempotencyKeyHeader, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import tenants
from chalicelib.settings import settings
from tests.support.client import ApiResponse, build_event, check_envelope

BED_PATH = "/departments/{department}/beds/{bed}"
routes = Routes(__name__)


class Note(WireModel):
    text: ChatText
    bed: Id | None = None
    page: Id = 1


@routes.post("/note", callers=[Role.PUBLIC])
def note(body: Note) -> Note:
    return body


@routes.get("/notes", callers=[Role.PUBLIC])
def notes(query: Note) -> Note:
    return query


@routes.post("/keyed", callers=[Role.PUBLIC])
def keyed(idempotency_key: IdempotencyKeyHeader) -> str | None:
    return idempotency_key


@routes.get(BED_PATH, callers=[Role.PUBLIC])
def bed(caller: Caller, department: str, bed: Id) -> list[str | int]:
    return [caller.role, department, bed]


http_app = Chalice(app_name="test", configure_logs=False)
http_app.register_middleware(routing.wrap_request, "http")
http_app.register_blueprint(routes)


@pytest.fixture(scope="module")
def tenant() -> str:
    """The tenantId of a hospital without people."""
    return str(mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院")))


def send(request: dict[str, Any]) -> ApiResponse:
    raw = http_app(request, SimpleNamespace(aws_request_id="id of the function"))
    response = ApiResponse(raw["statusCode"], raw["headers"], json.loads(raw["body"]))
    check_envelope(response)
    return response


@pytest.fixture
def send_event(tenant: str) -> Any:
    """Return a function that sends one event. A header of None is omitted; keyword arguments replace fields of it."""

    def send_with_tenant(method: str, path: str, body: Any = None, headers: Any = None, **fields: Any) -> ApiResponse:
        content = {"Content-Type": "application/json"} if body is not None else {}
        all_headers = {"tenantId": tenant, **content, **(headers or {})}
        event = build_event(
            method, path, {name: value for name, value in all_headers.items() if value is not None}, body=body
        )
        return send(event | fields)

    return send_with_tenant


def test_body_is_parsed(send_event: Any) -> None:
    assert send_event("POST", "/note", '{"text": "在吗 😷", "bed": "3"}').data == {
        "text": "在吗 😷",
        "bed": 3,
        "page": 1,
    }


def test_query_is_parsed_with_the_last_value_of_each_name(send_event: Any) -> None:
    query = {"text": ["旧", "新"], "bed": ["3"]}
    assert send_event("GET", "/notes", multiValueQueryStringParameters=query).data == {
        "text": "新",
        "bed": 3,
        "page": 1,
    }


@pytest.mark.parametrize("query", [None, {}])
def test_missing_query_is_empty(send_event: Any, query: Any) -> None:
    response = send_event("GET", "/notes", multiValueQueryStringParameters=query)
    assert (response.status, response.error) == (400, "text：必填")


def test_empty_optional_parameter_of_a_query_is_ignored(send_event: Any) -> None:
    def send_query(**query: str) -> ApiResponse:
        values = {name: [text] for name, text in query.items()}
        response: ApiResponse = send_event("GET", "/notes", multiValueQueryStringParameters=values)
        return response

    assert send_query(text="在吗", bed="", page="", other="").data == {"text": "在吗", "bed": None, "page": 1}
    assert send_query(text="", page="x").error == "text：不能少于 1 个字符；page：必须是整数"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/note"), ("PUT", "/note"), ("DELETE", "/note"), ("POST", "/notes")]
)
def test_other_method_is_not_allowed(send_event: Any, method: str, path: str) -> None:
    response = send_event(method, path, "{}")
    assert (response.status, response.code) == (405, 10010)
    assert response.headers["Allow"] == ("POST" if path == "/note" else "GET")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "json"])
def test_other_content_type_is_not_supported(send_event: Any, kind: str) -> None:
    response = send_event("POST", "/note", '{"text": "在吗"}', {"Content-Type": kind})
    assert (response.status, response.code) == (415, 10009)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=UTF-8", None])
def test_spelling_of_the_json_content_type_is_free(send_event: Any, kind: str | None) -> None:
    assert send_event("POST", "/note", '{"text": "在吗"}', {"Content-Type": kind}).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_get_accepts_any_content_type(send_event: Any, kind: str) -> None:
    query = {"text": ["在吗"]}
    assert (
        send_event("GET", "/notes", headers={"Content-Type": kind}, multiValueQueryStringParameters=query).status == 200
    )


NOT_JSON, NOT_AN_OBJECT = "请求体：不是合法的 JSON", "请求体：必须是 JSON 对象"
BODIES = {
    "nothing": ("", "text：必填"),
    "an empty object": ("{}", "text：必填"),
    "blanks": ("  ", NOT_JSON),
    "words": ("在吗", NOT_JSON),
    "half": ('{"text": "在', NOT_JSON),
    "two": ('{"text": "在吗"} {}', NOT_JSON),
    "half a pair": ('{"text": "\\ud800"}', NOT_JSON),
    "half a pair, bare": ('{"text": "\ud800"}', NOT_JSON),
    "endless": ("[" * 50_000, NOT_JSON),
    "a list": ("[]", NOT_AN_OBJECT),
    "null": ("null", NOT_AN_OBJECT),
    "a text": ('"text"', NOT_AN_OBJECT),
    "a NUL": ('{"text": "a\\u0000b"}', "text：含有不允许的字符"),
    "a bare NUL": ('{"text": "a\x00b"}', NOT_JSON),
}


@pytest.mark.parametrize(("body", "reason"), BODIES.values(), ids=BODIES.keys())
def test_invalid_body_is_rejected_with_the_reason(send_event: Any, body: str, reason: str) -> None:
    response = send_event("POST", "/note", body)
    assert (response.status, response.code, response.error) == (400, 10001, reason)


def test_missing_body_is_an_empty_object(send_event: Any) -> None:
    assert send_event("POST", "/note").error == "text：必填"


def test_body_may_be_base64(send_event: Any) -> None:
    body = base64.b64encode('{"text": "在吗"}'.encode()).decode()
    assert send_event("POST", "/note", body, isBase64Encoded=True).data["text"] == "在吗"


@pytest.mark.parametrize("body", ["/w==", "abc", "在吗"], ids=["no UTF-8", "no base64", "no ASCII"])
def test_base64_of_other_content_is_rejected(send_event: Any, body: str) -> None:
    response = send_event("POST", "/note", body, isBase64Encoded=True)
    assert (response.status, response.error) == (400, NOT_JSON)


def test_body_limit_is_in_bytes(send_event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '{"text": "在吗"}'
    monkeypatch.setattr(request_input, "settings", replace(settings, max_body_bytes=len(body.encode())))
    assert send_event("POST", "/note", body).status == 200
    for longer_body in (f"{body} ", body.replace("吗", "😷")):
        response = send_event("POST", "/note", longer_body)
        assert (response.status, response.code) == (413, 10008)


def test_body_limit_is_a_megabyte(send_event: Any) -> None:
    assert send_event("POST", "/note", "[" + " " * (1024 * 1024 - 1)).status == 400
    assert send_event("POST", "/note", "[" + " " * (1024 * 1024)).status == 413


@pytest.mark.parametrize("key", ["k", "x" * 128, "!~", None])
def test_idempotency_key_is_read_from_its_header(send_event: Any, key: str | None) -> None:
    assert send_event("POST", "/keyed", "{}", {"idempotency-KEY": key}).data == key


@pytest.mark.parametrize("key", ["", " ", "a b", "带中文", "x" * 129, "a\n", "\ud800"])
def test_invalid_idempotency_key_is_rejected(send_event: Any, key: str) -> None:
    response = send_event("POST", "/keyed", "{}", {"Idempotency-Key": key})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("Idempotency-Key：")


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [("%E5%86%85%E7%A7%91", "内科"), ("a%2Fb%20c+d", "a/b c+d"), ("100%", "100%"), ("%25E5", "%E5"), ("%FF", "\ufffd")],
)
def test_path_parameter_is_decoded_once(send_event: Any, encoded: str, decoded: str) -> None:
    response = send_event(
        "GET", "/departments/{department}/beds/{bed}", pathParameters={"department": encoded, "bed": "3"}
    )
    assert response.data == ["public", decoded, 3]


@pytest.mark.parametrize("invalid", ["x", "0", "-1", "%00", "3.0", "9" * 20])
def test_invalid_path_parameter_is_named(send_event: Any, invalid: str) -> None:
    response = send_event(
        "GET", "/departments/{department}/beds/{bed}", pathParameters={"department": "1", "bed": invalid}
    )
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("bed：")
