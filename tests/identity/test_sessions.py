"""A person's own sessions: sessions and sessions/end of patients and of staff."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import sessions, tokens
from tests.support.client import ApiResponse, get, post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes")

SERVICES = {"patient": "/pati_service/patient_service", "staff": "/pati_service/manager_service"}
PHONE, COMPUTER = "MicroMessenger/8.0.50 (iPhone)", "Mozilla/5.0 (Windows NT 10.0)"


@pytest.fixture(params=SERVICES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def person(hospital: Hospital, kind: str) -> Person:
    return hospital.lin if kind == "patient" else hospital.desk


def sign_in(kind: str, person: Person, device: str) -> str:
    headers = {"tenantId": str(person.tenant_id), "User-Agent": device}
    return str(post(f"{SERVICES[kind]}/login", headers=headers, phone=person.phone, password=PASSWORD).data["token"])


def list_sessions(kind: str, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(f"{SERVICES[kind]}/sessions", token).data
    return found


def end(kind: str, token: str, **fields: Any) -> ApiResponse:
    return post(f"{SERVICES[kind]}/sessions/end", token, **fields)


def get_id(token: str) -> str:
    return tokens.hash_token(token)[:8].hex()


@pytest.mark.usefixtures("frozen_clock")
def test_sessions_are_listed_with_device_address_and_times(kind: str, person: Person) -> None:
    first, second = sign_in(kind, person, PHONE), sign_in(kind, person, COMPUTER)
    found = {one["session_id"]: one for one in list_sessions(kind, second)}
    now = clock.format_wire_time(clock.now())
    where = {"address": "203.0.113.7", "create_time": now, "last_use_time": now}
    assert found == {
        get_id(first): {"session_id": get_id(first), "device": PHONE, **where, "current": False},
        get_id(second): {"session_id": get_id(second), "device": COMPUTER, **where, "current": True},
    }


def test_last_used_session_is_first(kind: str, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sign_in(kind, person, PHONE), sign_in(kind, person, COMPUTER)
    assert [one["session_id"] for one in list_sessions(kind, second)] == [get_id(second), get_id(first)]
    used_at = clock.now() + 5 * 60 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: used_at + (3600 * clock.SECOND if kind == "patient" else 0))
    assert [one["session_id"] for one in list_sessions(kind, first)] == [get_id(first), get_id(second)]


def test_sessions_that_are_over_and_those_of_others_are_not_listed(
    kind: str, person: Person, hospital: Hospital, other_hospital: Hospital
) -> None:
    revoked, expired, current = (sign_in(kind, person, PHONE) for _ in range(3))
    other = hospital.wang if kind == "patient" else hospital.admin
    for one in (other, other_hospital.lin if kind == "patient" else other_hospital.desk):
        sign_in(kind, one, PHONE)
    tokens.revoke_by_hash(tokens.hash_token(revoked))
    expire = "UPDATE tokens SET expires_at = 1 WHERE token_hash = %(hash)s"
    mysql.autocommit.execute(expire, hash=tokens.hash_token(expired))
    assert [one["session_id"] for one in list_sessions(kind, current)] == [get_id(current)]


def test_list_has_a_limit(kind: str, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_LISTED", 2)
    signed_in = [sign_in(kind, person, PHONE) for _ in range(3)]
    assert [one["session_id"] for one in list_sessions(kind, signed_in[0])] == [get_id(one) for one in signed_in[:0:-1]]


def test_ended_session_is_over_at_once(kind: str, person: Person) -> None:
    lost, current = sign_in(kind, person, PHONE), sign_in(kind, person, COMPUTER)
    assert len(list_sessions(kind, lost)) == 2
    for _ in range(2):  # a double click
        assert end(kind, current, session_id=get_id(lost)).data is None
        assert get(f"{SERVICES[kind]}/sessions", lost).status == 401
    assert [one["session_id"] for one in list_sessions(kind, current)] == [get_id(current)]


@pytest.mark.parametrize("fields", [{}, {"session_id": ""}, {"session_id": None}])
def test_all_other_sessions_end_together(kind: str, person: Person, hospital: Hospital, fields: Any) -> None:
    first, second, current = (sign_in(kind, person, PHONE) for _ in range(3))
    other = hospital.wang if kind == "patient" else hospital.admin
    assert len(list_sessions(kind, first)) == 3
    for _ in range(2):
        assert end(kind, current, **fields).data is None
        statuses = [get(f"{SERVICES[kind]}/sessions", one).status for one in (first, second, current, other.token)]
        assert statuses == [401, 401, 200, 200]


def test_current_session_can_be_ended_like_any_other(kind: str, person: Person) -> None:
    current = sign_in(kind, person, PHONE)
    assert end(kind, current, session_id=get_id(current)).status == 200
    assert get(f"{SERVICES[kind]}/sessions", current).status == 401


def test_session_of_another_person_is_not_found(kind: str, person: Person, hospital: Hospital) -> None:
    other = sign_in(kind, hospital.wang if kind == "patient" else hospital.admin, PHONE)
    response = end(kind, person.token, session_id=get_id(other))
    assert (response.status, response.code, response.error) == (404, 10004, "登录会话不存在")
    assert tokens.find_session(other)


@pytest.mark.parametrize("named", ["x", "0123456789abcde", "0123456789ABCDEF", "0123456789abcdef0", 5, True, ["a"]])
def test_invalid_id_is_named(kind: str, person: Person, named: Any) -> None:
    response = end(kind, person.token, session_id=named)
    assert (response.status, response.error.partition("：")[0]) == (400, "session_id")
    assert tokens.find_session(person.token)


def test_staff_sign_out(chen: Person) -> None:
    other = sign_in("staff", chen, COMPUTER)
    assert post(f"{SERVICES['staff']}/logout", chen.token).data is None
    assert post(f"{SERVICES['staff']}/logout", chen.token).status == 401
    assert tokens.find_session(other)
