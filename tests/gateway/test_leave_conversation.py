import pytest

from tests.consult.chat import opened, seen_by_patient
from tests.gateway.talk import PATHS, Visitor, join, joined, kick, leave, made, seated, sent
from tests.people import Hospital, Person
from tests.wire import post

READING = [path for path in PATHS if path.startswith("/get_conversation") or path == "/get_lastone_msgid"]


@pytest.mark.parametrize("path", READING)
def test_who_has_left_reads_nothing_more(guo: Visitor, han: Visitor, path: str) -> None:
    conversation = made(guo)
    join(han, conversation)
    [message_id] = sent(guo, conversation, "再见")
    assert post(path, han.token, conversation_id=conversation, msg_id=message_id).status == 200
    assert leave(han, conversation).data == {"ConversationId": conversation}
    assert not joined(han, conversation)
    assert post(path, han.token, conversation_id=conversation, msg_id=message_id).status == 404


def test_leaving_twice_changes_nothing(guo: Visitor, han: Visitor) -> None:
    conversation = made(guo)
    join(han, conversation)
    assert [leave(han, conversation).status for _ in range(3)] == [200] * 3


def test_a_stranger_has_nothing_to_leave(guo: Visitor, han: Visitor) -> None:
    assert leave(han, made(guo)).status == 404


def test_where_the_hospital_seats_people_nobody_leaves(
    hospital: Hospital, guo: Visitor, lin: Person, chen: Person
) -> None:
    assert leave(guo, seated(hospital, guo)).status == 404
    session_no = opened(lin, chen)
    assert leave(lin, session_no).status == leave(chen, session_no).status == 404
    assert seen_by_patient(lin, session_no).status == 200


def test_who_was_put_out_does_not_come_back_by_leaving(hospital: Hospital, guo: Visitor, han: Visitor) -> None:
    conversation = made(guo)
    join(han, conversation)
    kick(hospital, conversation, han)
    assert leave(han, conversation).status == 200
    assert join(han, conversation).status == 403


def test_the_maker_may_leave_and_come_back(guo: Visitor) -> None:
    conversation = made(guo)
    leave(guo, conversation)
    assert not joined(guo, conversation)
    join(guo, conversation)
    assert joined(guo, conversation)
