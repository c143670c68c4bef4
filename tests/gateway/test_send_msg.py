from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.gateway_client import (
    ExternalUser,
    archive,
    create_conversation,
    create_conversation_of,
    get_last_30,
    join,
    leave,
    list_contents,
    send,
)


@pytest.fixture
def conversation(guo: ExternalUser, han: ExternalUser) -> str:
    """Return a conversation that Guo created and Han joined."""
    conversation = create_conversation(guo)
    assert join(han, conversation).status == 200
    return conversation


def test_sent_message_is_read_by_others(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    message_id = send(guo, conversation, "在吗").data["MsgID"]
    assert send(guo, conversation, "在吗？").data.keys() == {"MsgID"}
    first, _ = get_last_30(han, conversation).data["Msg"]
    assert (first["MsgId"], first["ConversationID"], first["FromSession"]) == (message_id, conversation, guo.session)
    assert (first["Status"], first["Type"], first["Content"]) == (0, 0, "在吗")
    assert first["SendTime"] > 1_700_000_000_000_000


def test_staff_and_patients_are_named_by_id(hospital: Hospital, guo: ExternalUser) -> None:
    conversation = create_conversation_of(hospital, guo, hospital.lin, hospital.desk)
    send(hospital.lin, conversation, "我")
    send(hospital.desk, conversation, "您好")
    names = [message["FromSession"] for message in get_last_30(guo, conversation).data["Msg"]]
    assert names == [str(hospital.lin.user_id), str(hospital.desk.user_id)]


def test_status_and_type_are_defined_by_client(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    send(guo, conversation, '{"lat":30.2}', status=255, type=255)
    send(guo, conversation, "图", status=7, type=1)
    for _ in ("from MySQL, perhaps", "from Redis"):
        seen = [(one["Status"], one["Type"], one["Content"]) for one in get_last_30(han, conversation).data["Msg"]]
        assert seen == [(255, 255, '{"lat":30.2}'), (7, 1, "图")]


def test_resend_returns_same_message(guo: ExternalUser, conversation: str) -> None:
    first, again = (send(guo, conversation, "在吗", "k1", status=3) for _ in range(2))
    assert first.data == again.data
    assert list_contents(get_last_30(guo, conversation)) == ["在吗"]


def test_client_msg_id_identifies_resend(guo: ExternalUser, conversation: str) -> None:
    first, again = (send(guo, conversation, "在吗", client_msg_id="k1") for _ in range(2))
    assert first.data == again.data == send(guo, conversation, "在吗", "k1").data


@pytest.mark.parametrize("other", [{"content": "不在"}, {"type": 2}, {"status": 2}])
def test_same_key_for_another_message_is_a_conflict(
    guo: ExternalUser, conversation: str, other: dict[str, Any]
) -> None:
    send(guo, conversation, "在吗", "k1")
    response = send(guo, conversation, key="k1", **{"content": "在吗", **other})
    assert (response.status, response.code) == (409, 10005)
    assert list_contents(get_last_30(guo, conversation)) == ["在吗"]


def test_same_key_in_another_conversation_is_a_conflict(guo: ExternalUser, conversation: str) -> None:
    send(guo, conversation, "在吗", "k1")
    assert send(guo, create_conversation(guo), "在吗", "k1").status == 409


def test_concurrent_sends_with_one_key_store_one_message(guo: ExternalUser, conversation: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: send(guo, conversation, "在吗", "k1").data["MsgID"], range(24)))
    assert len(set(ids)) == 1
    assert list_contents(get_last_30(guo, conversation)) == ["在吗"]


def test_archived_conversation_can_be_read_but_not_written(
    hospital: Hospital, guo: ExternalUser, conversation: str
) -> None:
    send(guo, conversation, "在吗")
    archive(hospital, conversation)
    response = send(guo, conversation, "还在吗")
    assert (response.status, response.code) == (403, 10003)
    assert list_contents(get_last_30(guo, conversation)) == ["在吗"]


def test_former_member_cannot_send(han: ExternalUser, conversation: str) -> None:
    leave(han, conversation)
    assert send(han, conversation, "还在").status == 404


def test_resend_after_leaving_returns_same_message(guo: ExternalUser, han: ExternalUser, conversation: str) -> None:
    first = send(han, conversation, "我走了", "k1").data
    leave(han, conversation)
    assert send(han, conversation, "我走了", "k1").data == first
    assert list_contents(get_last_30(guo, conversation)) == ["我走了"]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("content", bad) for bad in ("", "  \n", None, 5, ["在吗"], "字" * 4001, "a\x00b")),
        *((name, bad) for name in ("type", "status") for bad in (-1, 256, "文", 1.5, True)),
    ],
)
def test_invalid_field_is_rejected(guo: ExternalUser, conversation: str, field: str, bad: object) -> None:
    body: dict[str, Any] = {"conversation_id": conversation, "content": "在吗", field: bad}
    response = post("/send_msg", guo.token, **body)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")
    assert get_last_30(guo, conversation).data == {"Msg": []}


def test_double_click_sends_one_text_but_signals_are_repeated(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    for kind in (0, 0, 5, 5):
        assert send(guo, conversation, "在吗", type=kind).status == 200
    assert [one["Type"] for one in get_last_30(han, conversation).data["Msg"]] == [0, 5, 5]


@pytest.mark.parametrize("key", ["带中文", "x" * 129, "a b"])
def test_invalid_idempotency_key_is_rejected(guo: ExternalUser, conversation: str, key: str) -> None:
    body: dict[str, Any] = {"conversation_id": conversation, "content": "在吗"}
    assert post("/send_msg", guo.token, {"Idempotency-Key": key}, **body).status == 400
    assert post("/send_msg", guo.token, client_msg_id=key, **body).status == 400
