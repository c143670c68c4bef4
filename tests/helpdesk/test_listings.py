"""What participants' rows copy from their conversations, and the part of each list that it makes."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.messaging import fan_out, log, store
from chalicelib.messaging.feed import EventKind
from chalicelib.people import members
from tests.support import consult_client, factories
from tests.support.client import post
from tests.support.conversation_log import find_wrong_copies
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    ExternalUser,
    add_participants,
    archive,
    create_conversation,
    create_conversation_of,
    create_external_user,
    get_last_30,
    join,
    leave,
    remove_participants,
    send,
    send_all,
)
from tests.support.helpdesk_client import (
    HelpDesk,
    add_message,
    close_session,
    create_patients,
    create_session,
    list_conversations,
    request_assignment,
)

pytestmark = pytest.mark.store

OPEN, OPEN_UNREAD, CLOSED, CLOSED_UNREAD = range(4)


@pytest.fixture
def guo(hospital: Hospital) -> ExternalUser:
    return create_external_user(hospital, "guo-7f1a")


@pytest.fixture
def han(hospital: Hospital) -> ExternalUser:
    return create_external_user(hospital, "han-0c2e")


def get_states(conversation: str) -> dict[str, int | None]:
    """Return the list_state of each participant who has not left, by principal."""
    return {row["principal"].decode(): row["list_state"] for row in fetch_participants(conversation)}


def get_peers(conversation: str) -> dict[str, int | None]:
    return {row["principal"].decode(): row["peer_id"] for row in fetch_participants(conversation)}


def fetch_participants(conversation: str) -> list[Row]:
    return mysql.autocommit.fetch_all(
        """
        SELECT p.principal, p.list_state, p.peer_id, p.unread, p.newest_seq
        FROM participants p JOIN conversations c ON c.conversation_id = p.conversation_id
        WHERE c.public_id = %(public_id)s AND p.left_at IS NULL ORDER BY p.principal
        """,
        public_id=conversation.encode(),
    )


def test_messages_readings_and_withdrawals(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    assert get_states(conversation) == {guo.principal: OPEN, han.principal: OPEN}
    send_all(guo, conversation, "一", "二")
    assert get_states(conversation) == {guo.principal: OPEN, han.principal: OPEN_UNREAD}
    assert [row["unread"] for row in fetch_participants(conversation)] == [0, 2]
    assert find_wrong_copies(hospital.tenant_id) == []
    get_last_30(han, conversation)
    send(han, conversation, "三")
    assert find_wrong_copies(hospital.tenant_id) == []


def test_unread_message_that_is_withdrawn_is_not_unread(lin: Person, chen: Person) -> None:
    sent = consult_client.send_as_patient(lin, chen, "发错了").data
    assert get_states(sent["session_no"]) == {lin.principal: OPEN, chen.principal: OPEN_UNREAD}
    log.withdraw(lin.tenant_id, sent["session_no"], sent["msg_id"], lin.principal)
    assert get_states(sent["session_no"]) == {lin.principal: OPEN, chen.principal: OPEN}


def test_hidden_conversation_is_not_listed_until_its_next_message(lin: Person, chen: Person) -> None:
    session = consult_client.send_as_patient(lin, chen, "您好").data["session_no"]
    post(consult_client.DOCTOR_DEL, chen.token, session_id=session)
    assert get_states(session)[chen.principal] is None
    consult_client.send_as_patient(lin, chen, "还在吗")
    assert get_states(session)[chen.principal] == OPEN_UNREAD


def test_archived_and_reopened(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation_of(hospital, guo, han)
    send(guo, conversation, "一")
    archive(hospital, conversation)
    assert get_states(conversation) == {guo.principal: CLOSED, han.principal: CLOSED_UNREAD}
    archive(hospital, conversation, is_archive=False)
    assert get_states(conversation) == {guo.principal: OPEN, han.principal: OPEN_UNREAD}
    assert find_wrong_copies(hospital.tenant_id) == []


def test_who_joins_again_has_the_present_state(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    leave(han, conversation)
    send_all(guo, conversation, "一", "二")
    assert get_states(conversation) == {guo.principal: OPEN}
    join(han, conversation)
    assert get_states(conversation) == {guo.principal: OPEN, han.principal: OPEN}
    assert find_wrong_copies(hospital.tenant_id) == []


def test_who_is_added_again_to_an_archived_conversation(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser
) -> None:
    conversation = create_conversation_of(hospital, guo, han)
    remove_participants(hospital, conversation, han)
    send(guo, conversation, "一")
    archive(hospital, conversation)
    add_participants(hospital, conversation, han)
    assert get_states(conversation) == {guo.principal: CLOSED, han.principal: CLOSED}
    assert find_wrong_copies(hospital.tenant_id) == []


def test_removed_member_closes_their_sessions(lin: Person, chen: Person) -> None:
    session = consult_client.send_as_patient(lin, chen, "您好").data["session_no"]
    mysql.run_transaction(lambda tx: members.remove(tx, lin.tenant_id, lin.member_id, lin.user_id))
    assert get_states(session) == {lin.principal: CLOSED, chen.principal: CLOSED_UNREAD}
    assert find_wrong_copies(lin.tenant_id) == []


def test_chat_of_the_help_desk_has_the_present_agent_as_peer(
    hospital: Hospital, help_desk: HelpDesk, lin: Person, li: Person
) -> None:
    session = request_assignment(lin).data["sessionId"]
    assert get_peers(session) == {lin.principal: None}
    post_of_li = help_desk.create_post(li)
    assert get_peers(session) == {lin.principal: li.user_id, li.principal: lin.user_id}
    add_message(lin, "在吗", ownType=2)
    close_session(lin, session)
    assert set(get_states(session).values()) <= {CLOSED, CLOSED_UNREAD}
    assert find_wrong_copies(hospital.tenant_id) == []
    help_desk.set_duty(post_of_li, on=False)
    other = factories.create_staff(hospital.tenant_id, "13900000077", "客服小赵", "service_staff")
    help_desk.create_post(other)
    request_assignment(lin)
    assert get_peers(session) == {lin.principal: other.user_id, other.principal: lin.user_id}
    assert find_wrong_copies(hospital.tenant_id) == []


def test_peers_of_two_persons(lin: Person, chen: Person, hospital: Hospital) -> None:
    direct = create_session(lin, 2, receiveId=chen.user_id).data["sessionId"]
    session = consult_client.create_session(lin, chen)
    for conversation in (direct, session):
        assert get_peers(conversation) == {lin.principal: chen.user_id, chen.principal: lin.user_id}
    group = create_conversation_of(hospital, lin, chen)
    assert set(get_peers(group).values()) == {None}


@pytest.fixture
def large_conversation(hospital: Hospital, chen: Person) -> str:
    users = [create_external_user(hospital, f"user-{n}") for n in range(store.MAX_INLINE_RECIPIENTS)]
    return create_conversation_of(hospital, chen, *users)


def test_copies_of_a_large_conversation_are_left_to_its_job(
    hospital: Hospital, chen: Person, large_conversation: str
) -> None:
    send(chen, large_conversation, "通知")
    copied = {row["principal"].decode(): row["newest_seq"] for row in fetch_participants(large_conversation)}
    assert copied.pop(chen.principal) == 1
    payload: dict[str, Any] = {"kind": EventKind.MESSAGE, "conversation": large_conversation, "seq": 1}
    fan_out.notify_conversation(hospital.tenant_id, payload)
    assert find_wrong_copies(hospital.tenant_id) == []
    assert set(get_states(large_conversation).values()) == {OPEN, OPEN_UNREAD}
    assert [one["unread"] for one in list_conversations(chen).data] == [0]


def test_conversation_of_twenty_is_copied_at_once(hospital: Hospital, chen: Person) -> None:
    users = [create_external_user(hospital, f"user-{n}") for n in range(store.MAX_INLINE_RECIPIENTS - 1)]
    send(chen, create_conversation_of(hospital, chen, *users), "通知")
    assert find_wrong_copies(hospital.tenant_id) == []


def test_patients_of_a_closed_desk(hospital: Hospital, help_desk: HelpDesk, li: Person) -> None:
    help_desk.create_post(li, cap=5)
    for patient in create_patients(hospital, 3):
        session = request_assignment(patient).data["sessionId"]
        add_message(patient, "您好", ownType=2)
        close_session(patient, session)
        add_message(patient, "还有一个问题", ownType=2)
    assert find_wrong_copies(hospital.tenant_id) == []
