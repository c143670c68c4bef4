"""Reading history: around a message, between two, and the newest page."""

from typing import Any

import pytest

from chalicelib.messaging import log
from tests.support.client import post
from tests.support.factories import Person
from tests.support.faults.interleaving import as_other_process
from tests.support.gateway_client import (
    ExternalUser,
    call_on_conversation,
    count_unread,
    create_conversation,
    join,
    list_contents,
    send,
    send_all,
)

BEFORE, AFTER = "get_conversation_30msg_before_the_id", "get_conversation_30msg_after_the_id"
RANGE, NEWEST = "get_conversation_msg_by_range", "get_conversation_last_30_msg"
LAST, LAST_ID = "get_conversation_lastone_msg", "get_lastone_msgid"
LISTS = [BEFORE, AFTER, RANGE, NEWEST, LAST]


@pytest.fixture
def messages(guo: ExternalUser) -> tuple[str, list[str]]:
    """Return a conversation in which Guo has sent seventy numbers, and the ids of these messages."""
    conversation = create_conversation(guo)
    return conversation, send_all(guo, conversation, *map(str, range(70)))


Messages = tuple[str, list[str]]


def texts(*numbers: int) -> list[str]:
    return [str(number) for number in numbers]


def test_page_before_message_has_it_and_the_previous_29(guo: ExternalUser, messages: Messages) -> None:
    conversation, ids = messages
    assert list_contents(call_on_conversation(guo, BEFORE, conversation, msg_id=ids[50])) == texts(*range(21, 51))
    assert list_contents(call_on_conversation(guo, BEFORE, conversation, msg_id=ids[50], desc=True)) == texts(
        *range(50, 20, -1)
    )
    assert list_contents(call_on_conversation(guo, BEFORE, conversation, msg_id=ids[2])) == texts(0, 1, 2)
    assert list_contents(call_on_conversation(guo, BEFORE, conversation, msg_id=ids[0])) == texts(0)


def test_page_after_message_has_it_and_the_next_29(guo: ExternalUser, messages: Messages) -> None:
    conversation, ids = messages
    assert list_contents(call_on_conversation(guo, AFTER, conversation, msg_id=ids[10])) == texts(*range(10, 40))
    assert list_contents(call_on_conversation(guo, AFTER, conversation, msg_id=ids[10], desc=True)) == texts(
        *range(39, 9, -1)
    )
    assert list_contents(call_on_conversation(guo, AFTER, conversation, msg_id=ids[68])) == texts(68, 69)
    assert list_contents(call_on_conversation(guo, AFTER, conversation, msg_id=ids[69])) == texts(69)


def test_client_pages_through_whole_history(guo: ExternalUser, messages: Messages) -> None:
    conversation, ids = messages
    seen, at = [ids[0]], ids[0]
    while len(page := call_on_conversation(guo, AFTER, conversation, msg_id=at).data["Msg"]) > 1:
        seen += [message["MsgId"] for message in page[1:]]
        at = seen[-1]
    assert seen == ids


def test_a_range_includes_both_ends(guo: ExternalUser, messages: Messages) -> None:
    conversation, ids = messages
    ends = {"start_msg_id": ids[3], "end_msg_id": ids[6]}
    assert list_contents(call_on_conversation(guo, RANGE, conversation, **ends)) == texts(3, 4, 5, 6)
    assert list_contents(call_on_conversation(guo, RANGE, conversation, **ends, desc=True)) == texts(6, 5, 4, 3)
    assert list_contents(
        call_on_conversation(guo, RANGE, conversation, start_msg_id=ids[3], end_msg_id=ids[3])
    ) == texts(3)
    assert list_contents(call_on_conversation(guo, RANGE, conversation, start_msg_id=ids[6], end_msg_id=ids[3])) == []


def test_empty_end_of_range_is_open(guo: ExternalUser, messages: Messages) -> None:
    conversation, ids = messages
    assert list_contents(call_on_conversation(guo, RANGE, conversation, start_msg_id=ids[67])) == texts(67, 68, 69)
    assert list_contents(call_on_conversation(guo, RANGE, conversation, start_msg_id="", end_msg_id=ids[1])) == texts(
        0, 1
    )
    assert list_contents(call_on_conversation(guo, RANGE, conversation, start_msg_id=None, end_msg_id="")) == texts(
        *range(70)
    )


def test_range_is_limited_from_the_end_where_its_order_begins(
    guo: ExternalUser, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.gateway.messages.MAX_RANGE_SIZE", 5)
    conversation, _ = messages
    assert list_contents(call_on_conversation(guo, RANGE, conversation)) == texts(0, 1, 2, 3, 4)
    assert list_contents(call_on_conversation(guo, RANGE, conversation, desc=True)) == texts(69, 68, 67, 66, 65)


def test_newest_page_has_thirty_messages(guo: ExternalUser, messages: Messages) -> None:
    conversation, _ = messages
    assert list_contents(call_on_conversation(guo, NEWEST, conversation)) == texts(*range(40, 70))
    assert list_contents(call_on_conversation(guo, NEWEST, conversation, desc=True)) == texts(*range(69, 39, -1))


def test_newest_message_and_its_id(guo: ExternalUser, messages: Messages) -> None:
    conversation, ids = messages
    assert call_on_conversation(guo, LAST_ID, conversation).data == {"MsgId": ids[-1]}
    for desc in (False, True):
        assert list_contents(call_on_conversation(guo, LAST, conversation, desc=desc)) == ["69"]


def test_empty_conversation_has_no_messages(guo: ExternalUser) -> None:
    conversation = create_conversation(guo)
    for path in (RANGE, NEWEST, LAST):
        assert call_on_conversation(guo, path, conversation).data == {"Msg": []}
    assert call_on_conversation(guo, LAST_ID, conversation).data == {"MsgId": ""}


def test_withdrawn_message_keeps_only_its_place(guo: ExternalUser) -> None:
    conversation = create_conversation(guo)
    wrong = str(send(guo, conversation, "说错了", status=5, type=9).data["MsgID"])
    log.withdraw(guo.tenant_id, conversation, wrong, guo.principal)
    for path in LISTS:
        [message] = call_on_conversation(guo, path, conversation, msg_id=wrong).data["Msg"]
        assert (message["MsgId"], message["Status"], message["Content"]) == (wrong, -1, "")
    assert call_on_conversation(guo, LAST_ID, conversation).data == {"MsgId": wrong}


@pytest.mark.parametrize("path", [BEFORE, AFTER, RANGE])
def test_message_of_another_conversation_is_rejected(guo: ExternalUser, messages: Messages, path: str) -> None:
    [other] = send_all(guo, create_conversation(guo), "别处")
    for field in ("start_msg_id", "end_msg_id") if path == RANGE else ("msg_id",):
        response = call_on_conversation(guo, path, messages[0], **{field: other})
        assert (response.status, response.code) == (400, 10001)


@pytest.mark.parametrize("bad", ["x", 7, ["a"], "EDCZL-SY32-243Y-VW1"])
@pytest.mark.parametrize("path", [BEFORE, AFTER, RANGE])
def test_invalid_message_id_is_rejected(guo: ExternalUser, path: str, bad: object) -> None:
    conversation = create_conversation(guo)
    for field in ("start_msg_id", "end_msg_id") if path == RANGE else ("msg_id",):
        response = call_on_conversation(guo, path, conversation, **{field: bad})
        assert (response.status, response.code) == (400, 10001)
        assert response.error.startswith(f"{field}：")


@pytest.mark.parametrize("path", [BEFORE, AFTER])
def test_message_id_is_required(guo: ExternalUser, path: str) -> None:
    for absent in ({}, {"msg_id": ""}, {"msg_id": None}):
        assert call_on_conversation(guo, path, create_conversation(guo), **absent).status == 400


@pytest.mark.parametrize("bad", ["文", 7, []])
@pytest.mark.parametrize("path", LISTS)
def test_invalid_order_is_rejected(guo: ExternalUser, messages: Messages, path: str, bad: object) -> None:
    response = call_on_conversation(guo, path, messages[0], msg_id=messages[1][0], desc=bad)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("desc：")


@pytest.mark.parametrize("path", [*LISTS, LAST_ID])
def test_repeated_read_returns_same(guo: ExternalUser, messages: Messages, path: str) -> None:
    body: dict[str, Any] = {"conversation_id": messages[0], "msg_id": messages[1][30]}
    assert post(f"/{path}", guo.token, **body).data == post(f"/{path}", guo.token, **body).data


def test_only_newest_page_marks_messages_as_read(guo: ExternalUser, lin: Person) -> None:
    conversation = create_conversation(guo)
    join(lin, conversation)
    [message_id, *_] = send_all(guo, conversation, "一", "二")
    for path in (LAST, LAST_ID, BEFORE, AFTER, RANGE):
        call_on_conversation(lin, path, conversation, msg_id=message_id)
    assert count_unread(lin, conversation) == 2
    call_on_conversation(lin, NEWEST, conversation)
    assert count_unread(lin, conversation) == 0


@pytest.mark.parametrize("path", [AFTER, RANGE])
def test_message_seen_in_range_is_in_newest_page(
    guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Han's process has no Redis, so the cache lags, but the range was read from MySQL."""
    [message_id] = send_all(guo, conversation, "三")
    with as_other_process(monkeypatch, cut=True):
        send_all(han, conversation, "四")
    assert list_contents(call_on_conversation(guo, path, conversation, msg_id=message_id))[-1] == "四"
    assert list_contents(call_on_conversation(guo, NEWEST, conversation))[-1] == "四"


def test_range_known_to_cache_keeps_newest_page_cached(
    guo: ExternalUser, conversation: str, mysql_reads: list[str]
) -> None:
    list_contents(call_on_conversation(guo, RANGE, conversation))
    mysql_reads.clear()
    assert list_contents(call_on_conversation(guo, NEWEST, conversation)) == ["一", "二"]
    assert mysql_reads == []
