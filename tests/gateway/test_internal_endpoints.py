"""Endpoints for the hospital's own system: conversations and their members."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.messaging import membership
from tests.support.consult_client import create_session
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    INTERNAL_PATHS,
    ExternalUser,
    add_participants,
    archive,
    call_internal,
    call_on_conversation,
    create_conversation,
    create_conversation_of,
    create_external_user,
    get_last_30,
    is_joined,
    join,
    list_contents,
    remove_participants,
    send,
    send_all,
)

ABSENT = "87ba7679-b682-47e7-8499-0385dda22b66"
PATHS_WITH_SESSIONS = ["create_conversation", "join_conversation", "kickout_conversation"]


def test_named_members_take_part(hospital: Hospital, guo: ExternalUser, han: ExternalUser, lin: Person) -> None:
    conversation = create_conversation_of(hospital, guo, lin, conversation_type=4)
    assert [is_joined(user, conversation) for user in (guo, lin, han)] == [True, True, False]
    assert call_on_conversation(lin, "get_conversation_detail", conversation).data["ConversationType"] == 4
    send_all(guo, conversation, "在吗")
    assert list_contents(get_last_30(lin, conversation)) == ["在吗"]


def test_person_named_in_three_ways_is_added_once(hospital: Hospital, lin: Person, guo: ExternalUser) -> None:
    sessions = [lin.user_id, str(lin.user_id), lin.principal, guo.session, guo.session]
    conversation = call_internal(hospital, "create_conversation", sessions=sessions).data["ConversationId"]
    assert is_joined(lin, conversation)
    assert is_joined(guo, conversation)
    call_internal(hospital, "kickout_conversation", conversation_id=conversation, sessions=[lin.principal])
    assert not is_joined(lin, conversation)


def test_id_of_no_account_is_rejected_by_name(hospital: Hospital, other_hospital: Hospital, guo: ExternalUser) -> None:
    conversation = create_conversation_of(hospital, guo)
    for number in (0, 2**52, other_hospital.lin.user_id, "9" * 30):
        for endpoint in ("create_conversation", "join_conversation"):
            response = call_internal(hospital, endpoint, conversation_id=conversation, sessions=[guo.session, number])
            assert (response.status, response.error) == (404, "用户不存在")
    assert call_internal(hospital, "kickout_conversation", conversation_id=conversation, sessions=[2**52]).status == 200


def test_same_key_returns_same_conversation(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    first = create_conversation_of(hospital, guo, han, key="k1")
    remove_participants(hospital, first, han)
    assert create_conversation_of(hospital, han, guo, key="k1") == first
    assert not is_joined(han, first)
    assert create_conversation_of(hospital, guo, han) != first
    response = call_internal(hospital, "create_conversation", "k1", sessions=[guo.session])
    assert (response.status, response.code) == (409, 10005)


def test_two_hospitals_may_use_the_same_key(hospital: Hospital, other_hospital: Hospital) -> None:
    assert create_conversation_of(hospital, hospital.lin, key="k1") != create_conversation_of(
        other_hospital, other_hospital.lin, key="k1"
    )


def test_concurrent_requests_with_one_key_create_one(hospital: Hospital, guo: ExternalUser) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: create_conversation_of(hospital, guo, key="k1"), range(16)))) == 1


def test_adding_members_twice_changes_nothing(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation_of(hospital, guo)
    send_all(guo, conversation, "一")
    for _ in range(2):
        assert add_participants(hospital, conversation, han, guo).data == {"ConversationId": conversation}
    assert list_contents(get_last_30(han, conversation)) == ["一"]


def test_removed_member_cannot_read_or_send(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation_of(hospital, guo, han)
    send_all(guo, conversation, "一")
    assert list_contents(get_last_30(han, conversation)) == ["一"]
    for _ in range(2):
        assert remove_participants(hospital, conversation, han).data == {"ConversationId": conversation}
    assert get_last_30(han, conversation).status == send(han, conversation, "我").status == 404
    assert list_contents(get_last_30(guo, conversation)) == ["一"]


def test_removing_non_member_changes_nothing(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    assert remove_participants(hospital, conversation, han).status == 200
    assert join(han, conversation).status == 200


def test_internal_endpoints_do_not_change_consultations(
    hospital: Hospital, lin: Person, chen: Person, wang: Person
) -> None:
    session_no = create_session(lin, chen)
    assert add_participants(hospital, session_no, wang).status == 404
    assert remove_participants(hospital, session_no, lin).status == 404
    assert archive(hospital, session_no).status == 404
    assert send(lin, session_no, "还在").status == 200


def test_archiving_and_reopening_are_idempotent(hospital: Hospital, guo: ExternalUser) -> None:
    conversations = [create_conversation(guo), create_conversation_of(hospital, guo)]
    for archived in (True, True, False, False, True):
        assert archive(hospital, *conversations, *conversations, is_archive=archived).data is None
        assert {send(guo, conversation, "在吗").status for conversation in conversations} == {403 if archived else 200}


def test_archiving_is_all_or_none(hospital: Hospital, guo: ExternalUser) -> None:
    conversation = create_conversation(guo)
    assert archive(hospital, conversation, ABSENT).status == 404
    assert send(guo, conversation, "在吗").status == 200


@pytest.mark.parametrize("endpoint", [endpoint for endpoint in INTERNAL_PATHS if endpoint != "create_conversation"])
def test_absent_conversation_is_not_found(hospital: Hospital, endpoint: str) -> None:
    body: dict[str, Any] = {
        "conversation_id": ABSENT,
        "conversation_ids": [ABSENT],
        "sessions": ["x"],
        "is_archive": True,
    }
    response = call_internal(hospital, endpoint, **body)
    assert (response.status, response.code, response.error) == (404, 10004, "会话不存在")


@pytest.mark.parametrize("endpoint", PATHS_WITH_SESSIONS)
def test_members_are_required(hospital: Hospital, guo: ExternalUser, endpoint: str) -> None:
    response = call_internal(hospital, endpoint, conversation_id=create_conversation(guo), sessions=[])
    assert (response.status, response.code) == (400, 90011)


@pytest.mark.parametrize("bad", [None, "x", 7, [""], ["a b"], ["带中文"], [None], [["x"]], ["x" * 129], ["x"] * 501])
@pytest.mark.parametrize("endpoint", PATHS_WITH_SESSIONS)
def test_invalid_sessions_are_rejected(hospital: Hospital, guo: ExternalUser, endpoint: str, bad: object) -> None:
    response = call_internal(hospital, endpoint, conversation_id=create_conversation(guo), sessions=bad)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("sessions")


@pytest.mark.parametrize("kind", [-1, 16])
def test_there_are_sixteen_types(hospital: Hospital, guo: ExternalUser, kind: int) -> None:
    response = call_internal(hospital, "create_conversation", conversation_type=kind, sessions=[guo.session])
    assert (response.status, response.code) == (400, 90010)


@pytest.mark.parametrize("body", [{"is_archive": True}, {"is_archive": True, "conversation_ids": []}])
def test_archiving_requires_conversations(hospital: Hospital, body: dict[str, Any]) -> None:
    response = call_internal(hospital, "set_archive_conversations", **body)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("conversation_ids：")


@pytest.mark.parametrize("bad", [None, "文", 7, []])
def test_archiving_requires_boolean(hospital: Hospital, guo: ExternalUser, bad: object) -> None:
    response = call_internal(
        hospital, "set_archive_conversations", conversation_ids=[create_conversation(guo)], is_archive=bad
    )
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("is_archive：")


def test_conversation_has_at_most_five_hundred_members(hospital: Hospital) -> None:
    sessions = [build_session(number) for number in range(500)]
    conversation = call_internal(hospital, "create_conversation", sessions=sessions).data["ConversationId"]
    first, last = create_external_user(hospital, sessions[0]), create_external_user(hospital, sessions[-1])
    send_all(first, conversation, "大家好")
    assert list_contents(get_last_30(last, conversation)) == ["大家好"]
    one_more = call_internal(hospital, "join_conversation", conversation_id=conversation, sessions=["late"])
    assert (one_more.status, one_more.code) == (409, 10005)
    remove_participants(hospital, conversation, first)
    assert call_internal(hospital, "join_conversation", conversation_id=conversation, sessions=["late"]).status == 200


def build_session(number: int) -> str:
    return f"visitor-{number:03d}"


def test_all_members_are_added_or_none(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "MAX_PARTICIPANTS", 2)
    conversation = create_conversation_of(hospital, guo)
    assert add_participants(hospital, conversation, han, create_external_user(hospital, "third")).status == 409
    assert not is_joined(han, conversation)
    assert add_participants(hospital, conversation, han, guo).status == 200
