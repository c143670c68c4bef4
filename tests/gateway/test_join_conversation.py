from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.messaging import membership
from tests.support.consult_client import create_session
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import (
    ExternalUser,
    add_participants,
    archive,
    create_conversation,
    create_conversation_of,
    create_external_user,
    get_last_30,
    is_joined,
    join,
    leave,
    list_contents,
    remove_participants,
    send,
    send_all,
)


def test_anyone_with_the_id_may_join(guo: ExternalUser, lin: Person) -> None:
    conversation = create_conversation(guo)
    send_all(guo, conversation, "有人吗")
    assert join(lin, conversation).data == {"ConversationId": conversation}
    assert is_joined(lin, conversation)
    send(lin, conversation, "我来了")
    assert (
        list_contents(get_last_30(lin, conversation))
        == list_contents(get_last_30(guo, conversation))
        == ["有人吗", "我来了"]
    )


def test_joining_twice_changes_nothing(guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    responses = [join(han, conversation).data for _ in range(3)]
    assert responses == [{"ConversationId": conversation}] * 3
    assert join(guo, conversation).status == 200


def test_conversation_of_hospital_cannot_be_joined_by_id(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser
) -> None:
    conversation = create_conversation_of(hospital, guo)
    response = join(han, conversation)
    assert (response.status, response.code) == (404, 10004)
    assert join(guo, conversation).status == 404
    assert not is_joined(han, conversation)


def test_consultation_cannot_be_joined(lin: Person, chen: Person, wang: Person, zhou: Person) -> None:
    session_no = create_session(lin, chen)
    for person in (wang, zhou, lin, chen):
        assert join(person, session_no).status == 404
    assert get_last_30(wang, session_no).status == 404


def test_archived_conversation_cannot_be_joined(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    archive(hospital, conversation)
    response = join(han, conversation)
    assert (response.status, response.code) == (403, 10003)
    assert not is_joined(han, conversation)
    assert join(guo, conversation).status == 200  # takes part already


def test_removed_member_cannot_rejoin(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    remove_participants(hospital, conversation, han)
    response = join(han, conversation)
    assert (response.status, response.code) == (403, 10003)
    assert not is_joined(han, conversation)
    assert add_participants(hospital, conversation, han).status == 200
    leave(han, conversation)
    assert join(han, conversation).status == 200


def test_rejoined_member_reads_all_messages(guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    join(han, conversation)
    send_all(guo, conversation, "一")
    leave(han, conversation)
    send_all(guo, conversation, "二")
    join(han, conversation)
    send_all(guo, conversation, "三")
    assert list_contents(get_last_30(han, conversation)) == ["一", "二", "三"]


def test_full_conversation_cannot_be_joined(
    hospital: Hospital, guo: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten join at once, three are accepted."""
    monkeypatch.setattr(membership, "MAX_PARTICIPANTS", 4)
    conversation = create_conversation(guo)
    people = [create_external_user(hospital, f"visitor-{number}") for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(lambda person: join(person, conversation), people))
    assert sorted(response.status for response in responses) == [200] * 3 + [409] * 7
    joined = [person for person in people if is_joined(person, conversation)]
    assert len(joined) == 3
    leave(joined[0], conversation)
    assert sum(join(person, conversation).status == 200 for person in people) == 3


def test_concurrent_joins_succeed(guo: ExternalUser, han: ExternalUser) -> None:
    conversation = create_conversation(guo)
    with ThreadPoolExecutor(8) as pool:
        assert {response.status for response in pool.map(lambda _: join(han, conversation), range(16))} == {200}
    leave(han, conversation)
    assert not is_joined(han, conversation)
