"""Only participants have access to a conversation."""

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
OTHER_PATHS = {"/create_conversation", "/get_joined_conversation"}  # not about one conversation
CONVERSATION_PATHS = [path for path in PATHS if path not in OTHER_PATHS]


def build_fields(conversation: str, message_id: str) -> dict[str, Any]:
    """Return the fields of all endpoints about a conversation."""
    return {"conversation_id": conversation, "msg_id": message_id, "content": "我也在"}


@pytest.mark.parametrize("path", [path for path in CONVERSATION_PATHS if path != "/check_joined_conversation"])
def test_non_member_gets_same_response_as_for_absent_conversation(
    hospital: Hospital, other_hospital: Hospital, guo: ExternalUser, lin: Person, path: str
) -> None:
    """Includes a user of another hospital with the same id."""
    conversation = create_conversation(guo)
    [message_id] = send_all(guo, conversation, "在吗")
    others: list[AnyUser] = [
        hospital.wang,
        create_external_user(hospital, "other"),
        create_external_user(other_hospital, guo.session),
        other_hospital.lin,
    ]
    if path == "/join_conversation":
        others = [create_external_user(other_hospital, guo.session), other_hospital.lin]
    absent = post(path, lin.token, **build_fields(ABSENT, message_id))
    assert (absent.status, absent.code) == (404, 10004)
    for other in others:
        response = post(path, other.token, **build_fields(conversation, message_id))
        assert (response.status, response.body) == (404, absent.body)
    assert post(path, guo.token, **build_fields(conversation, message_id)).status == 200


@pytest.mark.parametrize("path", CONVERSATION_PATHS)
def test_invalid_conversation_id_is_rejected(guo: ExternalUser, path: str) -> None:
    for bad in ("", None, 7, "../x", "x" * 65, ["a"], "';--"):
        response = post(path, guo.token, **{**build_fields(ABSENT, "EDCZL-SY32-243Y-VWQ"), "conversation_id": bad})
        assert (response.status, response.code) == (400, 10001), bad
        assert response.error.startswith("conversation_id："), bad


@pytest.mark.parametrize("path", CONVERSATION_PATHS)
def test_conversation_id_is_required(guo: ExternalUser, path: str) -> None:
    response = post(path, guo.token, msg_id="EDCZL-SY32-243Y-VWQ", content="在吗")
    assert (response.status, response.error) == (400, "conversation_id：必填")


@pytest.mark.parametrize("spelling", ["ConversationId", "ConversationID"])
def test_documented_spellings_of_conversation_id_are_accepted(guo: ExternalUser, spelling: str) -> None:
    body: dict[str, Any] = {spelling: create_conversation(guo)}
    assert post("/check_joined_conversation", guo.token, **body).data == {"Joined": True}


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
