"""A conversation is for those who are in it, and for nobody from elsewhere."""

from typing import Any

import pytest

from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    PATHS,
    AnyUser,
    ExternalUser,
    call_internal,
    create_conversation,
    create_external_user,
    send_all,
)

ABSENT = "87ba7679-b682-47e7-8499-0385dda22b66"
OWN = {"/create_conversation", "/get_joined_conversation"}  # of nobody's conversation
ABOUT_ONE = [path for path in PATHS if path not in OWN]


def fields(conversation: str, message_id: str) -> dict[str, Any]:
    """What every endpoint about a conversation wants, and more."""
    return {"conversation_id": conversation, "msg_id": message_id, "content": "我也在"}


@pytest.mark.parametrize("path", [path for path in ABOUT_ONE if path != "/check_joined_conversation"])
def test_non_member_gets_same_response_as_for_absent_conversation(
    hospital: Hospital, other_hospital: Hospital, guo: ExternalUser, lin: Person, path: str
) -> None:
    """Also another hospital's user of the very same id."""
    conversation = create_conversation(guo)
    [message_id] = send_all(guo, conversation, "在吗")
    strangers: list[AnyUser] = [
        hospital.wang,
        create_external_user(hospital, "other"),
        create_external_user(other_hospital, guo.session),
        other_hospital.lin,
    ]
    if path == "/join_conversation":
        strangers = [create_external_user(other_hospital, guo.session), other_hospital.lin]
    absent = post(path, lin.token, **fields(ABSENT, message_id))
    assert (absent.status, absent.code) == (404, 10004)
    for stranger in strangers:
        answer = post(path, stranger.token, **fields(conversation, message_id))
        assert (answer.status, answer.body) == (404, absent.body)
    assert post(path, guo.token, **fields(conversation, message_id)).status == 200


@pytest.mark.parametrize("path", ABOUT_ONE)
def test_invalid_conversation_id_is_rejected(guo: ExternalUser, path: str) -> None:
    for bad in ("", None, 7, "../x", "x" * 65, ["a"], "';--"):
        answer = post(path, guo.token, **{**fields(ABSENT, "EDCZL-SY32-243Y-VWQ"), "conversation_id": bad})
        assert (answer.status, answer.code) == (400, 10001), bad
        assert answer.error.startswith("conversation_id："), bad


@pytest.mark.parametrize("path", ABOUT_ONE)
def test_conversation_id_is_required(guo: ExternalUser, path: str) -> None:
    answer = post(path, guo.token, msg_id="EDCZL-SY32-243Y-VWQ", content="在吗")
    assert (answer.status, answer.error) == (400, "conversation_id：必填")


@pytest.mark.parametrize("spelling", ["ConversationId", "ConversationID"])
def test_documented_spellings_of_conversation_id_are_accepted(guo: ExternalUser, spelling: str) -> None:
    named: dict[str, Any] = {spelling: create_conversation(guo)}
    assert post("/check_joined_conversation", guo.token, **named).data == {"Joined": True}


@pytest.mark.parametrize("what", ["join_conversation", "kickout_conversation", "set_archive_conversations"])
def test_internal_key_cannot_change_conversations_of_other_hospital(
    other_hospital: Hospital, guo: ExternalUser, what: str
) -> None:
    conversation = create_conversation(guo)
    body: dict[str, Any] = {
        "conversation_id": conversation,
        "conversation_ids": [conversation],
        "sessions": [guo.session],
    }
    assert call_internal(other_hospital, what, is_archive=True, **body).status == 404
    assert post("/send_msg", guo.token, conversation_id=conversation, content="还在").status == 200
