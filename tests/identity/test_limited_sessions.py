"""Limited sessions, whose owners have to confirm who they are. tests/test_authorization.py tests every endpoint."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.gateway import websocket_handlers
from chalicelib.identity import callers, tokens
from chalicelib.identity.callers import Role
from chalicelib.messaging import sockets
from tests.support.client import call, get, post
from tests.support.factories import Hospital, Person

LOGOUT = "/pati_service/patient_service/logout"
MEMBERS = "/pati_service/patient_service/members"
SOCKET_EVENT = {"body": '{"action": "ping", "id": 1}'}


def issue_limited(person: Person) -> str:
    return tokens.issue_in_transaction(
        mysql.autocommit, person.tenant_id, person.principal, person.role, is_limited=True
    )


def lift_limit(person: Person, token: str) -> None:
    mysql.run_transaction(lambda tx: tokens.lift_limit(tx, tokens.hash_token(token)))
    tokens.invalidate_cached_sessions(person.tenant_id, person.principal)


def test_limited_session_gets_an_error_of_its_own(lin: Person) -> None:
    response = get(MEMBERS, issue_limited(lin))
    assert (response.status, response.code, response.error) == (403, 10104, "请先完成安全验证")
    assert get(MEMBERS, lin.token).status == 200


def test_limited_session_can_sign_out(lin: Person) -> None:
    token = issue_limited(lin)
    assert post(LOGOUT, token).status == 200
    assert tokens.find_session(token) is None


def test_limit_is_lifted_at_once(lin: Person, wang: Person) -> None:
    first, second, other = issue_limited(lin), issue_limited(lin), issue_limited(wang)
    assert [get(MEMBERS, token).status for token in (first, second, other)] == [403] * 3
    lift_limit(lin, first)
    assert [get(MEMBERS, token).status for token in (first, second, other)] == [200, 403, 403]


def test_limited_session_of_staff_has_no_role_of_patients(hospital: Hospital) -> None:
    response = post(LOGOUT, issue_limited(hospital.admin))
    assert (response.status, response.code, response.error) == (403, 10003, "没有权限：仅限患者")


def test_limited_session_receives_no_messages(chen: Person) -> None:
    token = issue_limited(chen)
    assert call("GET", "/notify", query={"token": token, "protoc": "poll"}).code == 10104
    query = {"token": token, "protoc": "ws"}
    with pytest.raises(ApiError, match="请先完成安全验证"):
        websocket_handlers.connect("c1", {"queryStringParameters": query})


def test_open_websocket_of_a_session_that_is_limited_is_closed(chen: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(sockets, "close", closed.append)
    websocket_handlers.connect("c2", {"queryStringParameters": {"token": chen.token, "protoc": "ws"}})
    limit = "UPDATE tokens SET is_limited = 1 WHERE token_hash = %(token_hash)s"
    mysql.autocommit.execute(limit, token_hash=tokens.hash_token(chen.token))
    tokens.invalidate_cached_sessions(chen.tenant_id, chen.principal)
    websocket_handlers.handle_message("c2", SOCKET_EVENT)
    assert closed == ["c2"]
    sockets.unregister("c2")


def test_limited_session_remains_a_visitor(lin: Person) -> None:
    caller = callers.identify({"token": issue_limited(lin)}, frozenset([Role.PUBLIC]))
    assert (caller.role, caller.principal) == (Role.PUBLIC, lin.principal)
