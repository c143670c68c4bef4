"""HTTP requests: input is parsed as declared by the view, or rejected in the envelope."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from chalice.app import Chalice
from pydantic import Field

from chalicelib.adapters import mysql
from chalicelib.billing.money import YuanAmount
from chalicelib.booking.schedules.models import ScheduleType
from chalicelib.http import request_input, routing
from chalicelib.http.fields import Boolean, ChatText, Date, Id, WireModel
from chalicelib.http.request_input import FORM_TYPE
from chalicelib.http.routing import IdempotencyKeyHeader, RawRequest, Routes
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


class Bed(WireModel):
    number: Id


class Flags(WireModel):
    urgent: Boolean = False
    side: ScheduleType = 0
    fee: YuanAmount = 1
    day: Date | None = None
    ids: list[Id] = Field([])
    beds: list[Bed] = Field([])
    first: Bed | None = None


@routes.post("/flags", callers=[Role.PUBLIC])
def flags(body: Flags) -> Flags:
    return body


@routes.post("/webhook", callers=[Role.PUBLIC])
def webhook(raw_request: RawRequest) -> str:
    return raw_request.body.decode()


@routes.post("/closed", callers=[Role.PATIENT])
def closed(body: Note) -> Note:
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
    assert send_query(text="", page="x").error == "text：不能为空；page：必须是整数"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/note"), ("PUT", "/note"), ("DELETE", "/note"), ("POST", "/notes")]
)
def test_other_method_is_not_allowed(send_event: Any, method: str, path: str) -> None:
    response = send_event(method, path, "{}")
    assert (response.status, response.code) == (405, 10010)
    assert response.headers["Allow"] == ("POST" if path == "/note" else "GET")


UNSUPPORTED_TEXT = "不支持的内容类型，请用 application/json 或 application/x-www-form-urlencoded"


@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data; boundary=x", "json", "image/png"])
def test_other_content_type_is_not_supported(send_event: Any, kind: str) -> None:
    response = send_event("POST", "/note", '{"text": "在吗"}', {"Content-Type": kind})
    assert (response.status, response.code, response.error) == (415, 10009, UNSUPPORTED_TEXT)


@pytest.mark.parametrize("kind", [None, "", "application/json", FORM_TYPE, "text/plain", "multipart/form-data", "x"])
def test_empty_body_is_an_empty_object_whatever_its_type(send_event: Any, kind: str | None) -> None:
    for body in (None, "", "\ufeff", " \r\n", "null", '""', "\ufeffnull\n"):
        assert send_event("POST", "/flags", body, {"Content-Type": kind}).data["urgent"] is False
        assert send_event("POST", "/note", body, {"Content-Type": kind}).error == "text：必填"


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain; charset=utf-8", FORM_TYPE, f"{FORM_TYPE};charset=UTF-8", "", "*/*"]
)
def test_json_is_parsed_whatever_its_announced_type(send_event: Any, kind: str) -> None:
    for body in ('{"text": "在吗"}', ' \n{"text": "在吗"}', '\ufeff{"text": "在吗"}'):
        assert send_event("POST", "/note", body, {"Content-Type": kind}).data["text"] == "在吗"
    assert send_event("POST", "/note", '{"text"', {"Content-Type": kind}).error == NOT_JSON
    assert send_event("POST", "/note", "[]", {"Content-Type": kind}).error == NOT_AN_OBJECT


def send_form(send_event: Any, body: str, path: str = "/flags") -> ApiResponse:
    response: ApiResponse = send_event("POST", path, body, {"Content-Type": "Application/X-WWW-Form-URLencoded"})
    encoded = base64.b64encode(body.encode()).decode()
    as_base64 = send_event("POST", path, encoded, {"Content-Type": FORM_TYPE}, isBase64Encoded=True)
    assert as_base64.body == response.body, "API Gateway encodes every body"
    return response


def test_form_is_parsed_as_an_object_of_texts(send_event: Any) -> None:
    sent = send_form(send_event, "text=%E5%9C%A8+%E5%90%97%3D%26&bed=3&other=x&other=y", "/note")
    assert sent.data == {"text": "在 吗=&", "bed": 3, "page": 1}
    assert send_form(send_event, "\ufefftext=1", "/note").data["text"] == "1"
    assert send_form(send_event, "text=", "/note").error == "text：不能为空"
    assert send_form(send_event, "bed=x", "/note").error == "text：必填；bed：必须是整数"


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        *(("urgent=true", "urgent", True), ("urgent=1", "urgent", True), ("urgent=false", "urgent", False)),
        *(("urgent=0", "urgent", False), ("urgent=", "urgent", False)),
        *(("fee=12.5", "fee", 12.5), ("fee=12", "fee", 12.0), ("fee=", "fee", 1.0), ("fee=0", "fee", 0.0)),
        *(("day=2026-01-05", "day", "2026-01-05"), ("day=", "day", None), ("side=1", "side", 1)),
        *(("ids=1&ids=2", "ids", [1, 2]), ("ids=1", "ids", [1]), ("ids%5B%5D=1&ids%5B%5D=2", "ids", [1, 2])),
        *(("ids[]=1&ids=2", "ids", [1, 2]), ("ids=[1,%20%222%22]", "ids", [1, 2]), ("ids=", "ids", [])),
        ("beds=[%7B%22number%22:1%7D]", "beds", [{"number": 1}]),
        ("beds=%7B%22number%22:1%7D&beds=%7B%22number%22:2%7D", "beds", [{"number": 1}, {"number": 2}]),
        ("first=%7B%22number%22:1%7D", "first", {"number": 1}),
    ],
)
def test_form_values_of_each_type(send_event: Any, body: str, field: str, value: Any) -> None:
    assert send_form(send_event, body).data[field] == value


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("first[number]=1", "first：表单不支持嵌套字段，请用 JSON 提交"),
        ("beds[0][number]=1", "beds：表单不支持嵌套字段，请用 JSON 提交"),
        ("440106[x]=1", "请求体：表单不支持嵌套字段，请用 JSON 提交"),
        ("side=1&side=0", "side：只能出现一次，它不是列表"),
        ("side[]=1", "side：只能出现一次，它不是列表"),
        ("ids=x", "ids.0：必须是整数"),
        ("ids=[1", "ids.0：必须是整数"),
        ("beds=1", "beds.0：必须是 JSON 对象"),
        ("first=1", "first：必须是 JSON 对象"),
        ("urgent=x", "urgent：必须是 true 或 false"),
        ("fee=1.234", "fee：最多两位小数"),
        ("fee=1e3", "fee：必须是数字"),
        ("&".join(f"a{number}=1" for number in range(2001)), "请求体：不是合法的 UTF-8 表单，或超过 2000 个字段"),
    ],
    ids=lambda text: text[:20],
)
def test_unsupported_form_is_rejected_with_the_reason(send_event: Any, body: str, error: str) -> None:
    response = send_form(send_event, body)
    assert (response.status, response.code, response.error) == (400, 10001, error)


def test_form_must_be_utf_8(send_event: Any) -> None:
    for body in (b"text=\xff", b"text=%FF"):
        encoded = base64.b64encode(body).decode()
        response = send_event("POST", "/note", encoded, {"Content-Type": FORM_TYPE}, isBase64Encoded=True)
        assert (response.status, response.error) == (400, "请求体：不是合法的 UTF-8 表单，或超过 2000 个字段")


def test_form_over_the_limit_is_too_large(send_event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_input, "settings", replace(settings, max_body_bytes=6))
    assert send_form(send_event, "text=a", "/note").status == 200
    assert send_form(send_event, "text=ab", "/note").status == 413


def test_webhook_receives_its_body_unchanged(send_event: Any) -> None:
    for body in ("\ufeff{}", "a=1", ""):
        assert send_event("POST", "/webhook", body, {"Content-Type": FORM_TYPE}).data == body


def test_credentials_are_checked_before_the_body(send_event: Any) -> None:
    for kind, body in (("text/csv", "x"), ("application/json", "{"), (FORM_TYPE, "a[b]=1")):
        assert send_event("POST", "/closed", body, {"Content-Type": kind}).status == 401


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
    "blanks": ("  ", "text：必填"),
    "words": ("在吗", NOT_JSON),
    "half": ('{"text": "在', NOT_JSON),
    "two": ('{"text": "在吗"} {}', NOT_JSON),
    "half a pair": ('{"text": "\\ud800"}', NOT_JSON),
    "half a pair, bare": ('{"text": "\ud800"}', NOT_JSON),
    "endless": ("[" * 50_000, NOT_JSON),
    "a list": ("[]", NOT_AN_OBJECT),
    "null": ("null", "text：必填"),
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


@pytest.mark.parametrize("key", ["", " ", "0", "null", "undefined"])
def test_empty_idempotency_key_is_none(send_event: Any, key: str) -> None:
    assert send_event("POST", "/keyed", "{}", {"Idempotency-Key": key}).data is None


@pytest.mark.parametrize("key", ["a b", "带中文", "x" * 129, "a b\n", "\ud800"])
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
