"""The door, from outside: whatever arrives is read as it was declared, or refused in the envelope."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.adapters import mysql
from chalicelib.http import routing
from chalicelib.http.fields import ChatText, Id, WireModel
from chalicelib.http.routing import IdempotencyKeyHeader, Routes
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import tenants
from chalicelib.settings import settings
from tests.support.client import Answer, build_event, check_envelope

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


@routes.get("/departments/{department}/beds/{bed}", callers=[Role.PUBLIC])
def bed(caller: Caller, department: str, bed: Id) -> list[str | int]:
    return [caller.role, department, bed]


door = Chalice(app_name="door", configure_logs=False)
door.register_middleware(routing.wrap_request, "http")
door.register_blueprint(routes)


@pytest.fixture(scope="module")
def tenant() -> str:
    """A hospital without people, as a header names it."""
    return str(mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院")))


def sent(request: dict[str, Any]) -> Answer:
    raw = door(request, SimpleNamespace(aws_request_id="of the function"))
    answer = Answer(raw["statusCode"], raw["headers"], json.loads(raw["body"]))
    check_envelope(answer)
    return answer


@pytest.fixture
def ask(tenant: str) -> Any:
    """ask(method, path, body, headers, …): send one event. A header of None is left out; other names replace fields."""

    def asked(method: str, path: str, body: Any = None, headers: Any = None, **fields: Any) -> Answer:
        content = {"Content-Type": "application/json"} if body is not None else {}
        wanted = {"tenantId": tenant, **content, **(headers or {})}
        request = build_event(
            method, path, {name: value for name, value in wanted.items() if value is not None}, body=body
        )
        return sent(request | fields)

    return asked


def test_a_form_comes_back(ask: Any) -> None:
    assert ask("POST", "/note", '{"text": "在吗 😷", "bed": "3"}').data == {"text": "在吗 😷", "bed": 3, "page": 1}


def test_a_query_comes_back_with_the_last_of_each_name(ask: Any) -> None:
    query = {"text": ["旧", "新"], "bed": ["3"]}
    assert ask("GET", "/notes", multiValueQueryStringParameters=query).data == {"text": "新", "bed": 3, "page": 1}


@pytest.mark.parametrize("query", [None, {}])
def test_a_missing_query_is_an_empty_one(ask: Any, query: Any) -> None:
    answer = ask("GET", "/notes", multiValueQueryStringParameters=query)
    assert (answer.status, answer.error) == (400, "text：必填")


def test_an_empty_parameter_of_a_query_is_not_given(ask: Any) -> None:
    def asked(**query: str) -> Answer:
        whole: Answer = ask("GET", "/notes", multiValueQueryStringParameters={n: [text] for n, text in query.items()})
        return whole

    assert asked(text="在吗", bed="", page="", other="").data == {"text": "在吗", "bed": None, "page": 1}
    assert asked(text="", page="x").error == "text：不能少于 1 个字符；page：必须是整数"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/note"), ("PUT", "/note"), ("DELETE", "/note"), ("POST", "/notes")]
)
def test_another_method_is_not_allowed(ask: Any, method: str, path: str) -> None:
    answer = ask(method, path, "{}")
    assert (answer.status, answer.code) == (405, 10010)
    assert answer.headers["Allow"] == ("POST" if path == "/note" else "GET")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "json"])
def test_another_content_type_is_not_supported(ask: Any, kind: str) -> None:
    answer = ask("POST", "/note", '{"text": "在吗"}', {"Content-Type": kind})
    assert (answer.status, answer.code) == (415, 10009)


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=UTF-8", None])
def test_json_may_be_spelled_otherwise_or_go_without_saying(ask: Any, kind: str | None) -> None:
    assert ask("POST", "/note", '{"text": "在吗"}', {"Content-Type": kind}).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_a_get_may_carry_any_content_type(ask: Any, kind: str) -> None:
    query = {"text": ["在吗"]}
    assert ask("GET", "/notes", headers={"Content-Type": kind}, multiValueQueryStringParameters=query).status == 200


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


@pytest.mark.parametrize(("body", "why"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_form_is_refused_and_told_why(ask: Any, body: str, why: str) -> None:
    answer = ask("POST", "/note", body)
    assert (answer.status, answer.code, answer.error) == (400, 10001, why)


def test_no_body_at_all_is_an_empty_form(ask: Any) -> None:
    assert ask("POST", "/note").error == "text：必填"


def test_a_body_may_come_in_base64(ask: Any) -> None:
    body = base64.b64encode('{"text": "在吗"}'.encode()).decode()
    assert ask("POST", "/note", body, isBase64Encoded=True).data["text"] == "在吗"


@pytest.mark.parametrize("body", ["/w==", "abc", "在吗"], ids=["no UTF-8", "no base64", "no ASCII"])
def test_base64_of_something_else_is_no_json(ask: Any, body: str) -> None:
    answer = ask("POST", "/note", body, isBase64Encoded=True)
    assert (answer.status, answer.error) == (400, NOT_JSON)


def test_a_body_is_measured_in_bytes(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '{"text": "在吗"}'
    monkeypatch.setattr(routing, "settings", replace(settings, max_body_bytes=len(body.encode())))
    assert ask("POST", "/note", body).status == 200
    for longer in (f"{body} ", body.replace("吗", "😷")):
        answer = ask("POST", "/note", longer)
        assert (answer.status, answer.code) == (413, 10008)


def test_a_megabyte_is_the_limit(ask: Any) -> None:
    assert ask("POST", "/note", "[" + " " * (1024 * 1024 - 1)).status == 400
    assert ask("POST", "/note", "[" + " " * (1024 * 1024)).status == 413


@pytest.mark.parametrize("key", ["k", "x" * 128, "!~", None])
def test_a_key_comes_by_its_header(ask: Any, key: str | None) -> None:
    assert ask("POST", "/keyed", "{}", {"idempotency-KEY": key}).data == key


@pytest.mark.parametrize("key", ["", " ", "a b", "带中文", "x" * 129, "a\n", "\ud800"])
def test_a_bad_key_is_refused_by_the_headers_name(ask: Any, key: str) -> None:
    answer = ask("POST", "/keyed", "{}", {"Idempotency-Key": key})
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith("Idempotency-Key：")


@pytest.mark.parametrize(
    ("given", "read"),
    [("%E5%86%85%E7%A7%91", "内科"), ("a%2Fb%20c+d", "a/b c+d"), ("100%", "100%"), ("%25E5", "%E5"), ("%FF", "\ufffd")],
)
def test_a_path_is_decoded_once(ask: Any, given: str, read: str) -> None:
    answer = ask("GET", "/departments/{department}/beds/{bed}", pathParameters={"department": given, "bed": "3"})
    assert answer.data == ["public", read, 3]


@pytest.mark.parametrize("bad", ["x", "0", "-1", "%00", "3.0", "9" * 20])
def test_a_bad_part_of_a_path_is_refused_by_its_name(ask: Any, bad: str) -> None:
    answer = ask("GET", "/departments/{department}/beds/{bed}", pathParameters={"department": "1", "bed": bad})
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith("bed：")
