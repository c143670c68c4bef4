"""Sessions of staff end when they are not used; the last use is stored, at most once a minute."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.gateway import websocket_handlers
from chalicelib.identity import tokens
from chalicelib.messaging import sockets
from chalicelib.notify import http
from chalicelib.people.roles import Role
from chalicelib.settings import settings
from tests.support.client import call as api_call
from tests.support.client import get
from tests.support.factories import Hospital, Person
from tests.support.round_trips import RoundTrips, trips

__all__ = ["trips"]

MINUTE = 60 * clock.SECOND
UNREAD = "/msg_service/msg/unread_count"  # an endpoint for patients and staff
Later = Callable[[float], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Return a function that sets the clock to a number of minutes after the start of the test. Redis forgets."""
    started_at = clock.now()

    def move(minutes: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: started_at + round(minutes * MINUTE))
        redis.get_client().flushdb()

    move(0)
    return move


def read_last_use(person: Person) -> int:
    sql = "SELECT last_used_at FROM tokens WHERE token_hash = %(hash)s"
    used_at: int = mysql.autocommit.fetch_value(sql, hash=tokens.hash_token(person.token))
    return used_at


def call(person: Person) -> int:
    return get(UNREAD, person.token).status


def listen(person: Person, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(http, "settings", replace(settings, long_poll_seconds=0.01))
    return api_call("GET", "/notify", query={"token": person.token, "protoc": "poll"}).status


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The connections that were closed. All are deleted in the end."""
    closed: list[str] = []

    def close(connection_id: str) -> bool:
        closed.append(connection_id)
        return True

    monkeypatch.setattr(sockets, "close", close)
    yield closed
    mysql.autocommit.execute("DELETE FROM sockets")


@pytest.mark.parametrize("name", ["chen", "desk", "admin"])
def test_session_of_staff_ends_half_an_hour_after_the_last_use(hospital: Hospital, name: str, later: Later) -> None:
    person: Person = getattr(hospital, name)
    assert call(person) == 200
    for minutes in (29, 58, 87):
        later(minutes)
        assert call(person) == 200
    later(87 + 31.1)
    assert [call(person), call(person)] == [401, 401]
    assert tokens.find_session(person.token) is None


def test_idle_session_ends_although_its_copy_is_cached(chen: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    started_at = clock.now()
    assert call(chen) == 200
    monkeypatch.setattr(clock, "now", lambda: started_at + 32 * MINUTE)
    assert call(chen) == 401


def test_cached_copy_does_not_end_a_session_that_another_process_has_used(
    chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_at = clock.now()
    assert call(chen) == 200
    use = "UPDATE tokens SET last_used_at = %(now)s WHERE token_hash = %(hash)s"
    mysql.autocommit.execute(use, now=started_at + 20 * MINUTE, hash=tokens.hash_token(chen.token))
    monkeypatch.setattr(clock, "now", lambda: started_at + 32 * MINUTE)
    assert call(chen) == 200


def test_sessions_of_patients_and_external_users_do_not_end(hospital: Hospital, lin: Person, later: Later) -> None:
    assert call(lin) == 200
    external = tokens.issue(hospital.tenant_id, "session:abc", Role.SESSION)
    later(29 * 24 * 60)
    assert call(lin) == 200
    assert tokens.find_session(external)


def test_timeout_is_a_setting(chen: Person, later: Later, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(chen) == 200
    for minutes, elapsed, status in ((0, 29 * 24 * 60, 200), (5, 29 * 24 * 60 + 4, 200), (5, 29 * 24 * 60 + 11, 401)):
        monkeypatch.setattr(tokens, "settings", replace(settings, staff_idle_minutes=minutes))
        later(elapsed)
        assert call(chen) == status


def test_listening_does_not_count_as_use(
    chen: Person, later: Later, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(chen) == 200
    for minutes in range(5, 31, 5):
        later(minutes)
        assert listen(chen, monkeypatch) == 200
    query = {"token": chen.token, "protoc": "ws"}
    websocket_handlers.connect("idle", {"queryStringParameters": query})
    later(31.1)
    assert listen(chen, monkeypatch) == 401
    websocket_handlers.handle_message("idle", {"body": '{"action": "ping"}'})
    assert closed == ["idle"]


def test_sweep_closes_the_socket_of_an_idle_session(chen: Person, lin: Person, later: Later, closed: list[str]) -> None:
    for person in (chen, lin):
        query = {"token": person.token, "protoc": "ws"}
        websocket_handlers.connect(person.principal, {"queryStringParameters": query})
    for minutes, expected in ((29, []), (32, [chen.principal])):
        later(minutes)
        sockets.close_expired()
        assert [name for name in closed if name in (chen.principal, lin.principal)] == expected


def test_use_is_stored_at_most_once_a_minute(chen: Person, later: Later) -> None:
    token, started_at = chen.token, clock.now()
    assert token
    for minutes, stored in ((0.9, 0), (1, 1), (1.9, 1), (2.1, 2.1), (3, 2.1)):
        later(minutes)
        assert call(chen) == 200
        assert read_last_use(chen) == started_at + round(stored * MINUTE), minutes


def test_use_by_a_patient_is_stored_at_most_once_an_hour(lin: Person, later: Later) -> None:
    token, started_at = lin.token, clock.now()
    assert token
    for minutes, stored in ((59, 0), (60, 60), (119, 60), (121, 121)):
        later(minutes)
        assert call(lin) == 200
        assert read_last_use(lin) == started_at + stored * MINUTE, minutes


def test_process_that_has_stored_a_use_makes_no_further_round_trip(
    chen: Person, trips: RoundTrips, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy of the session in Redis has the time of the use before."""
    assert call(chen) == 200
    used_at = clock.now() + 2 * MINUTE
    monkeypatch.setattr(clock, "now", lambda: used_at)
    first = trips.count(lambda: call(chen), before=tokens._stored_uses.clear)[0]
    assert (first, trips.count(lambda: call(chen))[0]) == (2, 1)


def test_use_that_cannot_be_stored_fails_no_request(
    chen: Person, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tokens.find_session(chen.token)
    assert session is not None
    later(5)

    def fail(*_: object, **__: object) -> int:
        raise ApiError(UNAVAILABLE)

    monkeypatch.setattr(mysql.autocommit, "execute", fail)
    tokens.record_use(tokens.hash_token(chen.token), session)
