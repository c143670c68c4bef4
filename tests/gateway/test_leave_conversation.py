import pytest

from tests.support.client import post
from tests.support.consult_client import create_session, list_as_patient
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    PATHS,
    ExternalUser,
    create_conversation,
    create_conversation_of,
    is_joined,
    join,
    leave,
    remove_participants,
    send_all,
)

READING = [path for path in PATHS if path.startswith("/get_conversation") or path == "/get_lastone_msgid"]


@pytest.mark.parametrize("path", READING)
def test_former_member_cannot_read(guo: ExternalUser, han: ExternalUser, path: str) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    [message_id] = send_all(guo, conversation, "再见")
    assert post(path, han.token, conversation_id=conversation, msg_id=message_id).status == 200
    assert leave(han, conversation).data == {"ConversationId": conversation}
    assert not is_joined(han, conversation)
    assert post(path, han.token, conversation_id=conversation, msg_id=message_id).status == 404


def test_leaving_twice_changes_nothing(guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    assert [leave(han, conversation).status for _ in range(3)] == [200] * 3


def test_non_member_cannot_leave(guo: ExternalUser, han: ExternalUser) -> None:
    assert leave(han, create_conversation(guo)).status == 404


def test_conversation_of_hospital_cannot_be_left(
    hospital: Hospital, guo: ExternalUser, lin: Person, chen: Person
) -> None:
    assert leave(guo, create_conversation_of(hospital, guo)).status == 404
    session_no = create_session(lin, chen)
    assert leave(lin, session_no).status == leave(chen, session_no).status == 404
    assert list_as_patient(lin, session_no).status == 200


def test_removed_member_cannot_rejoin_after_leaving(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    remove_participants(hospital, conversation, han)
    assert leave(han, conversation).status == 200
    assert join(han, conversation).status == 403


def test_creator_may_leave_and_rejoin(guo: ExternalUser) -> None:
    conversation = create_conversation(guo)
    leave(guo, conversation)
    assert not is_joined(guo, conversation)
    join(guo, conversation)
    assert is_joined(guo, conversation)
