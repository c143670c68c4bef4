"""The WebSocket transport, through the whole app with a client library."""

import json

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log
from tests.support import consult_client, helpdesk_client
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    ExternalUser,
    create_conversation,
    create_external_user,
    get_last_30,
    join,
    send_all,
)
from tests.support.notify_client import list_contents, poll_messages
from tests.support.websocket_client import open_websocket

INVALID_ID_TEXT = "id：应为不超过 128 个字符的文本，或绝对值小于 2^53 的整数"


@pytest.fixture
def conversation(guo: ExternalUser, han: ExternalUser) -> str:
    conversation = create_conversation(guo)
    assert join(han, conversation).status == 200
    return conversation


def test_messages_are_pushed(websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    with open_websocket(websocket_url, han.token) as page:
        assert page.receive_backlog()[0] == []
        first, second = send_all(guo, conversation, "您好", "在吗")
        one, two = page.receive_message(), page.receive_message()
    assert (one["MsgId"], one["Content"], one["ConversationID"]) == (first, "您好", conversation)
    assert (two["MsgId"], two["PreId"]) == (second, first)
    assert one["FromSession"] == "guo-7f1a"
    assert two["Cursor"] > one["Cursor"]


def test_message_is_pushed_to_sender_and_every_device(
    websocket_url: str, hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    other = create_external_user(hospital, han.session)  # the same user on another device
    with (
        open_websocket(websocket_url, han.token) as one,
        open_websocket(websocket_url, other.token) as two,
        open_websocket(websocket_url, guo.token) as own,
    ):
        for page in (one, two, own):
            page.receive_backlog()
        send_all(guo, conversation, "您好")
        assert [page.receive_message()["Content"] for page in (one, two, own)] == ["您好"] * 3


def test_doctors_reply_in_consultation_is_pushed_to_patient(websocket_url: str, lin: Person, chen: Person) -> None:
    session_no = consult_client.create_session(lin, chen)
    with open_websocket(websocket_url, lin.token) as page:
        page.receive_backlog()
        consult_client.send_as_doctor(chen, session_no, "多喝水", "k1")
        assert page.receive_message()["Content"] == "多喝水"


def test_doctor_cannot_write_into_the_hospitals_announcements(
    websocket_url: str, hospital: Hospital, lin: Person, chen: Person
) -> None:
    [sent] = helpdesk_client.add_message(hospital.desk, "明天停水", ownType=2, receiveId=lin.user_id).data
    with open_websocket(websocket_url, chen.token) as page:
        page.receive_backlog()
        assert page.call("send_msg", conversation_id=sent["sessionId"], content="请点此缴费")["code"] == 10004
    assert helpdesk_client.list_contents(helpdesk_client.find_messages(lin, 1)) == ["明天停水"]


def test_backlog_is_sent_first(websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    _, cursor, _ = poll_messages(han.token)
    send_all(guo, conversation, *map(str, range(130)))
    with open_websocket(websocket_url, han.token, after=cursor) as page:
        backlog, end = page.receive_backlog()
    assert list_contents(backlog) == [str(number) for number in range(130)]
    assert end == {"cursor": backlog[-1]["Cursor"], "gap": False}


def test_without_cursor_saved_position_of_token_is_used(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    poll_messages(han.token)
    send_all(guo, conversation, "一")
    with open_websocket(websocket_url, han.token) as page:
        [one], _ = page.receive_backlog()
        assert page.call("ack", cursor=one["Cursor"]) == {"action": "ack", "id": "q1", "code": 0, "data": None}
    send_all(guo, conversation, "二")
    with open_websocket(websocket_url, han.token) as page:
        assert list_contents(page.receive_backlog()[0]) == ["二"]
    with open_websocket(websocket_url, han.token) as page:
        assert list_contents(page.receive_backlog()[0]) == ["二"], "it was not acknowledged"


def test_new_token_is_notified_of_possible_gap(websocket_url: str, hospital: Hospital, han: ExternalUser) -> None:
    with open_websocket(websocket_url, create_external_user(hospital, han.session).token) as page:
        assert page.receive_backlog()[1]["gap"]


def test_lost_feed_is_reported_as_gap(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    _, cursor, _ = poll_messages(han.token)
    send_all(guo, conversation, "一")
    redis.get_client().flushall()
    with open_websocket(websocket_url, han.token, after=cursor) as page:
        assert page.receive_backlog()[1]["gap"]
        send_all(guo, conversation, "二")
        assert page.receive_message()["Content"] == "二"


def test_resume_returns_events_after_cursor(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    with open_websocket(websocket_url, han.token) as page:
        _, end = page.receive_backlog()
        send_all(guo, conversation, "一")
        first = page.receive_message()
        response = page.call("resume", cursor=end["cursor"])
        assert response["data"] == {"cursor": first["Cursor"], "gap": False}
        assert page.unsolicited[-1] == first


def test_events_are_pushed_on_request(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    with (
        open_websocket(websocket_url, han.token, events=1) as with_events,
        open_websocket(websocket_url, han.token) as messages,
    ):
        for page in (with_events, messages):
            page.receive_backlog()
        [wrong] = send_all(guo, conversation, "说错了")
        log.withdraw(guo.tenant_id, conversation, wrong, guo.principal)
        send_all(guo, conversation, "好了")
        assert [with_events.receive_message()["Type"] for _ in range(3)] == [0, 1000, 0]
        assert list_contents([messages.receive_message() for _ in range(2)]) == ["说错了", "好了"]


def test_message_sent_twice_over_websocket_is_stored_once(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    message = {"conversation_id": conversation, "content": "您好", "client_msg_id": "m1"}
    with open_websocket(websocket_url, guo.token) as page:
        page.receive_backlog()
        response, again = page.call("send_msg", **message), page.call("send_msg", **message)
    assert response["code"] == 0
    [one] = get_last_30(han, conversation).data["Msg"]
    assert response["data"]["MsgID"] == again["data"]["MsgID"] == one["MsgId"]


def test_ping_returns_newest_cursor(
    websocket_url: str, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        send_all(guo, conversation, "您好")
        newest = page.receive_message()["Cursor"]
        assert page.call("ping") == {"action": "pong", "id": "q1", "code": 0, "data": {"cursor": newest}}


@pytest.mark.parametrize(
    ("request_fields", "code"),
    [
        ({"action": "dance"}, 10001),
        ({"action": "ack"}, 10001),
        ({"action": "ack", "cursor": "x"}, 10001),
        ({"action": "resume", "cursor": ["0.0"]}, 10001),
        ({"action": "send_msg"}, 10001),
        ({"action": "send_msg", "conversation_id": "nowhere", "content": "您好"}, 10004),
        ({"action": "send_msg", "conversation_id": "nowhere", "content": ""}, 10001),
    ],
)
def test_invalid_action_is_rejected_and_socket_stays_open(
    websocket_url: str, han: ExternalUser, request_fields: dict[str, str], code: int
) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        response = page.call(**request_fields)
        assert response["code"] == code
        assert response["error"]
        assert page.call("ping")["code"] == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "您好"])
def test_malformed_request_gets_error_response(websocket_url: str, han: ExternalUser, text: str) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        page.connection.send(text)
        assert page.receive()["code"] == 10001


@pytest.mark.parametrize("id", [{}, [], True, 1.5, "x" * 129, 2**53, -(10**999)])
def test_invalid_request_id_is_rejected_by_name(websocket_url: str, han: ExternalUser, id: object) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        page.connection.send(json.dumps({"action": "ping", "id": id}))
        rejection = {"action": "", "id": "", "code": 10001, "error": INVALID_ID_TEXT}
        assert page.receive() == rejection


@pytest.mark.parametrize("id", ["", "q1", 0, -7, 2**53 - 1, "x" * 128])
def test_response_has_id_of_request(websocket_url: str, han: ExternalUser, id: object) -> None:
    with open_websocket(websocket_url, han.token) as page:
        page.receive_backlog()
        page.connection.send(json.dumps({"action": "ping", "id": id}))
        assert page.receive()["id"] == id
