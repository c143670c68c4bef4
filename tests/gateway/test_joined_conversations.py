"""The list of joined conversations and their details."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.messaging import log, membership_store
from tests.support.client import ApiResponse, post
from tests.support.consult_client import DOCTOR_DEL, create_session, send_as_doctor, send_as_patient
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    ExternalUser,
    archive,
    call_on_conversation,
    create_conversation,
    create_conversation_of,
    is_joined,
    join,
    leave,
    remove_participants,
    send,
    send_all,
)
from tests.support.long_lists import insert_chats
from tests.support.row_reads import count_rows_read

LIST = "/get_joined_conversation"
DETAIL = "get_conversation_detail"


def list_joined(user: Person | ExternalUser, **body: Any) -> ApiResponse:
    return post(LIST, user.token, **body)


def test_list_has_all_kinds_newest_first(hospital: Hospital, lin: Person, chen: Person) -> None:
    consultation = create_session(lin, chen)
    own = create_conversation(lin)
    hospitals = create_conversation_of(hospital, lin, chen)
    assert list_joined(lin).data == {"Conversations": [hospitals, own, consultation]}
    assert list_joined(chen).data == {"Conversations": [hospitals, consultation]}
    leave(lin, own)
    remove_participants(hospital, hospitals, lin)
    assert list_joined(lin).data == {"Conversations": [consultation]}


def test_list_without_conversations_is_empty(guo: ExternalUser) -> None:
    assert list_joined(guo).data == {"Conversations": []}


def test_pages_contain_each_conversation_once(guo: ExternalUser) -> None:
    own = [create_conversation(guo) for _ in range(5)][::-1]
    pages: list[list[str]] = []
    after = ""
    while page := list_joined(guo, after=after, limit=2).data["Conversations"]:
        pages.append(page)
        after = page[-1]
        create_conversation(guo)  # it is newer than all of them
    assert pages == [own[:2], own[2:4], own[4:]]


def test_page_may_begin_after_a_conversation_that_was_left(guo: ExternalUser) -> None:
    older, left = create_conversation(guo), create_conversation(guo)
    leave(guo, left)
    assert list_joined(guo, after=left).data == {"Conversations": [older]}


def test_page_after_a_conversation_of_others_is_not_found(
    hospital: Hospital, other_hospital: Hospital, guo: ExternalUser, han: ExternalUser
) -> None:
    for other in (create_conversation(han), create_conversation(other_hospital.lin), "no-such-conversation"):
        response = list_joined(guo, after=other)
        assert (response.status, response.code) == (404, 10004)
    assert hospital.tenant_id != other_hospital.tenant_id


@pytest.mark.parametrize("bad", [{"limit": -1}, {"limit": 1001}, {"limit": "x"}, {"after": "带中文"}, {"after": ["x"]}])
def test_invalid_page_is_rejected(guo: ExternalUser, bad: dict[str, Any]) -> None:
    response = list_joined(guo, **bad)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{next(iter(bad))}：")


def test_a_thousand_are_returned_and_no_others_are_read(chen: Person) -> None:
    insert_chats(chen, 1_500)
    mysql.autocommit.fetch_all("ANALYZE TABLE participants, conversations")
    assert len(list_joined(chen).data["Conversations"]) == 1_000

    def count_reads(tx: mysql.Tx) -> int:
        found, reads = count_rows_read(
            tx, lambda: membership_store.list_joined(tx, chen.tenant_id, chen.principal, 2**62, 10)
        )
        assert len(found) == 10
        return reads

    assert mysql.run_autocommit(count_reads) < 40


def test_own_session_may_be_named_in_either_form(guo: ExternalUser, lin: Person) -> None:
    for who, names in ((guo, ["", guo.session, guo.principal]), (lin, ["", str(lin.user_id), lin.principal])):
        conversation = create_conversation(who)
        for name in names:
            assert list_joined(who, SessionId=name).data == {"Conversations": [conversation]}


def test_list_of_another_user_is_rejected(guo: ExternalUser, han: ExternalUser, lin: Person) -> None:
    for name in (han.session, han.principal, str(lin.user_id), lin.principal, "session:"):
        response = list_joined(guo, SessionId=name)
        assert (response.status, response.code) == (403, 10003)


@pytest.mark.parametrize("bad", [{}, ["a"], True, "x" * 137])
def test_invalid_session_id_is_rejected(guo: ExternalUser, bad: object) -> None:
    response = list_joined(guo, SessionId=bad)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("SessionId：")


def test_check_joined_reveals_nothing_else(guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    assert is_joined(guo, conversation)
    assert not is_joined(han, conversation)
    assert not is_joined(han, "87ba7679-b682-47e7-8499-0385dda22b66")


def test_same_user_id_of_other_hospital_is_not_joined(hospital: Hospital, other_hospital: Hospital) -> None:
    conversation = create_conversation(hospital.lin)
    assert not is_joined(other_hospital.lin, conversation)


def test_detail_of_new_conversation(guo: ExternalUser) -> None:
    conversation = create_conversation(guo, conversation_type=9)
    assert call_on_conversation(guo, DETAIL, conversation).data == {
        "ConversationID": conversation,
        "LastMsgID": "",
        "LastSendTime": None,
        "IsDelete": False,
        "ConversationType": 9,
        "LastSendSession": "",
        "IsArchive": False,
    }


def test_detail_has_last_message_and_archive_flag(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    *_, last = send_all(han, conversation, "一", "二")
    archive(hospital, conversation)
    detail = call_on_conversation(guo, DETAIL, conversation).data
    assert (detail["LastMsgID"], detail["LastSendSession"], detail["IsArchive"]) == (last, han.session, True)
    assert detail["LastSendTime"] > 1_700_000_000_000_000
    archive(hospital, conversation, is_archive=False)
    assert call_on_conversation(guo, DETAIL, conversation).data["IsArchive"] is False


def test_withdrawn_message_is_still_the_last(guo: ExternalUser) -> None:
    conversation = create_conversation(guo)
    [wrong] = send_all(guo, conversation, "说错了")
    log.withdraw(guo.tenant_id, conversation, wrong, guo.principal)
    assert call_on_conversation(guo, DETAIL, conversation).data["LastMsgID"] == wrong


def test_deleted_entry_is_hidden_from_one_side_until_next_message(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "在吗").data["session_no"]
    assert post(DOCTOR_DEL, chen.token, session_id=session_no).status == 200
    assert [call_on_conversation(who, DETAIL, session_no).data["IsDelete"] for who in (lin, chen)] == [False, True]
    send_as_doctor(chen, session_no, "在")
    assert [call_on_conversation(who, DETAIL, session_no).data["IsDelete"] for who in (lin, chen)] == [False, False]


def test_reading_details_changes_nothing(guo: ExternalUser) -> None:
    conversation = create_conversation(guo)
    send(guo, conversation, "在吗")
    for path in (LIST, "/check_joined_conversation", f"/{DETAIL}"):
        responses = [post(path, guo.token, conversation_id=conversation).data for _ in range(2)]
        assert responses[0] == responses[1]
