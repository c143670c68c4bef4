"""/notify over WebSocket: through the whole app on this machine, with a client library."""

import json

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log
from tests.consult import chat
from tests.gateway.hearing import contents, heard
from tests.gateway.socket_client import listening
from tests.gateway.talk import Visitor, join, last_30, made, sent, visitor
from tests.people import Hospital, Person

WHAT_AN_ID_IS = "id：应为不超过 128 个字符的文本，或绝对值小于 2^53 的整数"


@pytest.fixture
def conversation(guo: Visitor, han: Visitor) -> str:
    conversation = made(guo)
    assert join(han, conversation).status == 200
    return conversation


def test_what_is_said_is_pushed(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    with listening(url, han.token) as page:
        assert page.ready()[0] == []
        first, second = sent(guo, conversation, "您好", "在吗")
        one, two = page.message(), page.message()
    assert (one["MsgId"], one["Content"], one["ConversationID"]) == (first, "您好", conversation)
    assert (two["MsgId"], two["PreId"]) == (second, first)
    assert one["FromSession"] == "guo-7f1a"
    assert two["Cursor"] > one["Cursor"]


def test_the_sender_hears_it_too_and_so_does_each_device(
    url: str, hospital: Hospital, guo: Visitor, han: Visitor, conversation: str
) -> None:
    other = visitor(hospital, han.session)  # the same user, on another telephone
    with listening(url, han.token) as one, listening(url, other.token) as two, listening(url, guo.token) as own:
        for page in (one, two, own):
            page.ready()
        sent(guo, conversation, "您好")
        assert [page.message()["Content"] for page in (one, two, own)] == ["您好"] * 3


def test_a_doctors_answer_in_a_consultation_is_pushed_to_the_patient(url: str, lin: Person, chen: Person) -> None:
    session_no = chat.opened(lin, chen)
    with listening(url, lin.token) as page:
        page.ready()
        chat.reply(chen, session_no, "多喝水", "k1")
        assert page.message()["Content"] == "多喝水"


def test_the_backlog_comes_first(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    _, cursor, _ = heard(han.token)
    sent(guo, conversation, *map(str, range(130)))
    with listening(url, han.token, after=cursor) as page:
        backlog, where = page.ready()
    assert contents(backlog) == [str(number) for number in range(130)]
    assert where == {"cursor": backlog[-1]["Cursor"], "gap": False}


def test_without_a_cursor_the_tokens_own_place_counts(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    heard(han.token)
    sent(guo, conversation, "一")
    with listening(url, han.token) as page:
        [one], _ = page.ready()
        assert page.ask("ack", cursor=one["Cursor"]) == {"action": "ack", "id": "q1", "code": 0, "data": None}
    sent(guo, conversation, "二")
    with listening(url, han.token) as page:
        assert contents(page.ready()[0]) == ["二"]
    with listening(url, han.token) as page:
        assert contents(page.ready()[0]) == ["二"], "it was not acknowledged"


def test_a_new_token_is_told_that_it_may_have_missed_something(url: str, hospital: Hospital, han: Visitor) -> None:
    with listening(url, visitor(hospital, han.session).token) as page:
        assert page.ready()[1]["gap"]


def test_a_lost_feed_is_told_as_a_gap(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    _, cursor, _ = heard(han.token)
    sent(guo, conversation, "一")
    redis.get_client().flushall()
    with listening(url, han.token, after=cursor) as page:
        assert page.ready()[1]["gap"]
        sent(guo, conversation, "二")
        assert page.message()["Content"] == "二"


def test_resume_brings_what_is_behind_a_cursor(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    with listening(url, han.token) as page:
        _, where = page.ready()
        sent(guo, conversation, "一")
        first = page.message()
        answer = page.ask("resume", cursor=where["cursor"])
        assert answer["data"] == {"cursor": first["Cursor"], "gap": False}
        assert page.unasked[-1] == first


def test_events_are_pushed_to_who_asked_for_them(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    with listening(url, han.token, events=1) as all_of_it, listening(url, han.token) as messages:
        for page in (all_of_it, messages):
            page.ready()
        [wrong] = sent(guo, conversation, "说错了")
        log.withdraw(guo.tenant_id, conversation, wrong, guo.principal)
        sent(guo, conversation, "好了")
        assert [all_of_it.message()["Type"] for _ in range(3)] == [0, 1000, 0]
        assert contents([messages.message() for _ in range(2)]) == ["说错了", "好了"]


def test_a_message_sent_over_the_socket_is_one_message(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    what = {"conversation_id": conversation, "content": "您好", "client_msg_id": "m1"}
    with listening(url, guo.token) as page:
        page.ready()
        answer, again = page.ask("send_msg", **what), page.ask("send_msg", **what)
    assert answer["code"] == 0
    [one] = last_30(han, conversation).data["Msg"]
    assert answer["data"]["MsgID"] == again["data"]["MsgID"] == one["MsgId"]


def test_ping_is_answered_with_the_newest_cursor(url: str, guo: Visitor, han: Visitor, conversation: str) -> None:
    with listening(url, han.token) as page:
        page.ready()
        sent(guo, conversation, "您好")
        newest = page.message()["Cursor"]
        assert page.ask("ping") == {"action": "pong", "id": "q1", "code": 0, "data": {"cursor": newest}}


@pytest.mark.parametrize(
    ("said", "code"),
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
def test_what_cannot_be_done_is_refused_and_the_socket_stays(
    url: str, han: Visitor, said: dict[str, str], code: int
) -> None:
    with listening(url, han.token) as page:
        page.ready()
        answer = page.ask(**said)
        assert answer["code"] == code
        assert answer["error"]
        assert page.ask("ping")["code"] == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "您好"])
def test_what_is_no_action_is_answered(url: str, han: Visitor, text: str) -> None:
    with listening(url, han.token) as page:
        page.ready()
        page.line.send(text)
        assert page.next()["code"] == 10001


@pytest.mark.parametrize("id", [None, {}, [], True, 1.5, "x" * 129, 2**53, -(10**999)])
def test_an_id_that_is_none_is_refused_by_name(url: str, han: Visitor, id: object) -> None:
    with listening(url, han.token) as page:
        page.ready()
        page.line.send(json.dumps({"action": "ping", "id": id}))
        refused = {"action": "", "id": "", "code": 10001, "error": WHAT_AN_ID_IS}
        assert page.next() == refused


@pytest.mark.parametrize("id", ["", "q1", 0, -7, 2**53 - 1, "x" * 128])
def test_an_answer_has_the_id_of_what_was_said(url: str, han: Visitor, id: object) -> None:
    with listening(url, han.token) as page:
        page.ready()
        page.line.send(json.dumps({"action": "ping", "id": id}))
        assert page.next()["id"] == id
