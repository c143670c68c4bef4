"""Delivery of messages by long poll and server-sent events."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.identity import tokens
from chalicelib.messaging import delivery, log
from chalicelib.notify import http
from chalicelib.settings import settings
from tests.support import consult_client
from tests.support.client import call
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    ExternalUser,
    create_conversation,
    create_external_user,
    join,
    remove_participants,
    send,
)
from tests.support.notify_client import NOTIFY_PATH, conversation, list_contents, poll, poll_messages, read_events

__all__ = ["conversation"]


@pytest.fixture
def long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let polls wait as long as in production."""
    monkeypatch.setattr(http, "settings", replace(settings, long_poll_seconds=20))


def test_poll_returns_next_message_or_null(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    first = send(guo, conversation, "在吗").data["MsgID"]
    second = send(guo, conversation, "有人吗").data["MsgID"]
    one, two = poll(han.token).data, poll(han.token).data
    assert (one["MsgId"], one["PreId"], one["Content"]) == (first, "", "在吗")
    assert (one["FromSession"], one["ConversationID"], one["gap"]) == (guo.session, conversation, False)
    assert (two["MsgId"], two["PreId"]) == (second, first)
    assert poll(han.token).data is None


def test_own_messages_are_delivered_to_other_devices(guo: ExternalUser, conversation: str) -> None:
    send(guo, conversation, "我")
    assert list_contents(poll_messages(guo.token)[0]) == ["我"]


def test_poll_with_limit_returns_list_and_cursor(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    _, start, _ = poll_messages(han.token)
    for number in range(5):
        send(guo, conversation, str(number))
    two, cursor, _ = poll_messages(han.token, 2, after=start)
    rest, end, _ = poll_messages(han.token, after=cursor)
    assert list_contents(two) + list_contents(rest) == ["0", "1", "2", "3", "4"]
    assert two[-1]["Cursor"] == cursor
    assert poll_messages(han.token, after=end) == ([], end, False)


def test_same_cursor_returns_same_messages_after_lost_response(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    _, start, _ = poll_messages(han.token)
    send(guo, conversation, "在吗")
    assert poll_messages(han.token, after=start) == poll_messages(han.token, after=start)


def test_without_cursor_each_token_has_own_position(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    tablet = create_external_user(hospital, han.session).token
    poll_messages(tablet)
    send(guo, conversation, "在吗")
    assert list_contents(poll_messages(han.token)[0]) == list_contents(poll_messages(tablet)[0]) == ["在吗"]
    assert poll_messages(han.token)[0] == []


def test_new_listener_receives_later_messages(guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    send(guo, conversation, "before")
    messages, cursor, gap = poll_messages(han.token)
    assert (messages, gap) == ([], True), "there may have been messages before: the client must read history"
    assert poll_messages(han.token, after=cursor)[0::2] == ([], False)
    send(guo, conversation, "after")
    assert list_contents(poll_messages(han.token)[0]) == ["after"]


@pytest.mark.usefixtures("long_wait")
def test_waiting_poll_returns_at_once(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll, han.token)
        started = clock.monotonic()
        send(guo, conversation, "在吗")
        assert waiting.result(timeout=15).data["Content"] == "在吗"
        assert clock.monotonic() - started < 10, "the poll returned at the end of the wait, not because of the message"


@pytest.mark.usefixtures("long_wait")
@pytest.mark.parametrize("transport", ["poll", "sse"])
def test_poll_begun_before_sign_out_delivers_nothing_sent_after_it(
    guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    waits, wait = threading.Event(), redis.wait_for_streams

    def report_and_wait(*arguments: Any) -> None:
        waits.set()
        wait(*arguments)

    monkeypatch.setattr(redis, "wait_for_streams", report_and_wait)
    with ThreadPoolExecutor(1) as pool:
        query = {"token": han.token, "protoc": transport}
        waiting = pool.submit(call, "GET", NOTIFY_PATH, query=query)
        assert waits.wait(10)
        tokens.revoke_by_hash(tokens.hash_token(han.token))
        send(guo, conversation, "在吗")
        response = waiting.result(timeout=15)
    assert (response.status, response.code) == (401, 10101)


def test_waiting_poll_holds_no_mysql_connection(
    han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert conversation
    free_slots: list[int] = []
    wait = redis.wait_for_streams

    def record_and_wait(*arguments: Any) -> None:
        free_slots.append(mysql._pool_slots._value)
        wait(*arguments)

    monkeypatch.setattr(redis, "wait_for_streams", record_and_wait)
    poll(han.token)
    assert set(free_slots) == {settings.database_pool_size}


def test_wait_is_bounded_by_remaining_time_of_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "settings", replace(settings, long_poll_seconds=20))
    waits: list[float] = []
    monkeypatch.setattr(delivery, "wait_for_events", lambda _listener, _limit, seconds, _report: waits.append(seconds))
    query: Any = type("Query", (), {"events": ""})
    caller: Any = type("Caller", (), {"tenant_id": 1, "principal": "user:1", "token_hash_hex": ""})
    for time_left in (29.0, 10.0, 2.0):
        http.wait_for_events(caller, query, "", 1, time_left)
    assert waits == [20, 7, 0]


def test_doctors_reply_arrives_in_patients_feed(lin: Person, chen: Person) -> None:
    session_no = consult_client.create_session(lin, chen)
    poll_messages(lin.token)
    consult_client.send_as_doctor(chen, session_no, "多喝水")
    message = poll(lin.token).data
    assert (message["Content"], message["FromSession"], message["ConversationID"]) == (
        "多喝水",
        str(chen.user_id),
        session_no,
    )


def test_sse_returns_same_events_and_can_be_resumed(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    events, last = read_events(han.token)
    assert (events, bool(last)) == ([], True)
    send(guo, conversation, "一\n二")
    send(guo, conversation, "三")
    events, end = read_events(han.token, last)
    assert [(kind, data["Content"]) for kind, _, data in events] == [("message", "一\n二"), ("message", "三")]
    assert [at for _, at, _ in events] == [data["Cursor"] for _, _, data in events]
    assert [data["Content"] for _, _, data in read_events(han.token, events[0][1])[0]] == ["三"]
    assert read_events(han.token, end) == ([], end)


def test_last_event_id_takes_precedence_over_query(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    _, start = read_events(han.token)
    send(guo, conversation, "一")
    _, end = read_events(han.token, start)
    assert read_events(han.token, end, after=start)[0] == []


def test_withdrawn_text_is_not_delivered(hospital: Hospital, lin: Person, chen: Person) -> None:
    session_no = consult_client.create_session(lin, chen)
    poll_messages(lin.token)
    message_id = consult_client.send_as_doctor(chen, session_no, "说错了").data["msg_id"]
    log.withdraw(hospital.tenant_id, session_no, message_id, chen.principal)
    [message], _, _ = poll_messages(lin.token)
    assert (message["MsgId"], message["Status"], message["Content"]) == (message_id, -1, "")


def test_withdrawals_and_read_positions_are_delivered_on_request(hospital: Hospital, lin: Person, chen: Person) -> None:
    session_no = consult_client.create_session(lin, chen)
    _, start, _ = poll_messages(lin.token)
    message_id = consult_client.send_as_patient(lin, chen, "在吗").data["msg_id"]
    consult_client.list_as_doctor(chen, session_no)
    consult_client.list_as_doctor(chen, session_no)
    log.withdraw(hospital.tenant_id, session_no, message_id, lin.principal)
    delivered = [(one["Type"], one["FromSession"]) for one in poll_messages(lin.token, after=start, events=1)[0]]
    assert delivered == [(0, str(lin.user_id)), (1001, str(chen.user_id)), (1000, "")]
    _, *events = poll_messages(lin.token, after=start, events=1)[0]
    assert {json.loads(one["Content"])["MsgId"] for one in events} == {message_id}
    assert [one["Type"] for one in poll_messages(lin.token, after=start)[0]] == [0]


def test_removed_member_receives_nothing_even_of_before(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    send(guo, conversation, "一")
    remove_participants(hospital, conversation, han)
    send(guo, conversation, "二")
    assert poll_messages(han.token)[0] == []


def test_non_member_receives_nothing(hospital: Hospital, guo: ExternalUser, conversation: str, lin: Person) -> None:
    poll_messages(lin.token)
    send(guo, conversation, "一")
    assert poll_messages(lin.token)[0] == []
    assert hospital


def test_same_session_of_other_hospital_receives_nothing(
    other_hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    namesake = create_external_user(other_hospital, han.session).token
    poll_messages(namesake)
    send(guo, conversation, "一")
    assert poll_messages(namesake)[0] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"protoc": "xmpp"}, 90013),
        ({"protoc": "ws"}, 90013),
        ({"protoc": ""}, 90013),
        ({"after": "x"}, 10001),
        ({"limit": -1}, 10001),
        ({"limit": 101}, 10001),
        ({"events": 2}, 10001),
    ],
)
def test_invalid_query_is_rejected(han: ExternalUser, query: dict[str, Any], code: int) -> None:
    response = poll(han.token, **query)
    assert (response.status, response.code) == (400, code)


def test_valid_token_is_required() -> None:
    assert [call("GET", NOTIFY_PATH, query={"protoc": "poll"}).status, poll("guessed").status] == [401, 401]


def test_token_header_takes_precedence_over_query(han: ExternalUser) -> None:
    assert call("GET", NOTIFY_PATH, han.token, query={"token": "guessed", "protoc": "poll"}).status == 200
