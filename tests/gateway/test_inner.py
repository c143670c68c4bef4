"""What the hospital's own system does with conversations and the people in them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.messaging import membership
from tests.consult.chat import opened
from tests.gateway.talk import (
    INNER,
    Visitor,
    archive,
    asked,
    bring,
    contents,
    inner,
    join,
    joined,
    kick,
    last_30,
    made,
    seated,
    send,
    sent,
    visitor,
)
from tests.people import Hospital, Person

ABSENT = "87ba7679-b682-47e7-8499-0385dda22b66"
WITH_PEOPLE = ["create_conversation", "join_conversation", "kickout_conversation"]


def test_those_who_are_named_are_in_it(hospital: Hospital, guo: Visitor, han: Visitor, lin: Person) -> None:
    conversation = seated(hospital, guo, lin, conversation_type=4)
    assert [joined(who, conversation) for who in (guo, lin, han)] == [True, True, False]
    assert asked(lin, "get_conversation_detail", conversation).data["ConversationType"] == 4
    sent(guo, conversation, "在吗")
    assert contents(last_30(lin, conversation)) == ["在吗"]


def test_a_person_is_named_in_three_ways_and_seated_once(hospital: Hospital, lin: Person, guo: Visitor) -> None:
    named = [lin.user_id, str(lin.user_id), lin.principal, guo.session, guo.session]
    conversation = inner(hospital, "create_conversation", sessions=named).data["ConversationId"]
    assert joined(lin, conversation)
    assert joined(guo, conversation)
    inner(hospital, "kickout_conversation", conversation_id=conversation, sessions=[lin.principal])
    assert not joined(lin, conversation)


def test_a_number_that_is_nobodys_is_refused_by_name(hospital: Hospital, elsewhere: Hospital, guo: Visitor) -> None:
    conversation = seated(hospital, guo)
    for number in (0, 2**52, elsewhere.lin.user_id, "9" * 30):
        for what in ("create_conversation", "join_conversation"):
            answer = inner(hospital, what, conversation_id=conversation, sessions=[guo.session, number])
            assert (answer.status, answer.error) == (404, "用户不存在")
    assert inner(hospital, "kickout_conversation", conversation_id=conversation, sessions=[2**52]).status == 200


def test_with_a_key_asking_again_finds_the_same_one(hospital: Hospital, guo: Visitor, han: Visitor) -> None:
    first = seated(hospital, guo, han, key="k1")
    kick(hospital, first, han)
    assert seated(hospital, han, guo, key="k1") == first
    assert not joined(han, first)
    assert seated(hospital, guo, han) != first
    answer = inner(hospital, "create_conversation", "k1", sessions=[guo.session])
    assert (answer.status, answer.code) == (409, 10005)


def test_two_hospitals_may_choose_one_key(hospital: Hospital, elsewhere: Hospital) -> None:
    assert seated(hospital, hospital.lin, key="k1") != seated(elsewhere, elsewhere.lin, key="k1")


def test_one_key_at_once_makes_one(hospital: Hospital, guo: Visitor) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: seated(hospital, guo, key="k1"), range(16)))) == 1


def test_bringing_people_in_twice_changes_nothing(hospital: Hospital, guo: Visitor, han: Visitor) -> None:
    conversation = seated(hospital, guo)
    sent(guo, conversation, "一")
    for _ in range(2):
        assert bring(hospital, conversation, han, guo).data == {"ConversationId": conversation}
    assert contents(last_30(han, conversation)) == ["一"]


def test_who_is_put_out_reads_and_says_nothing_more(hospital: Hospital, guo: Visitor, han: Visitor) -> None:
    conversation = seated(hospital, guo, han)
    sent(guo, conversation, "一")
    assert contents(last_30(han, conversation)) == ["一"]
    for _ in range(2):
        assert kick(hospital, conversation, han).data == {"ConversationId": conversation}
    assert last_30(han, conversation).status == send(han, conversation, "我").status == 404
    assert contents(last_30(guo, conversation)) == ["一"]


def test_putting_out_a_stranger_changes_nothing(hospital: Hospital, guo: Visitor, han: Visitor) -> None:
    conversation = made(guo)
    assert kick(hospital, conversation, han).status == 200
    assert join(han, conversation).status == 200


def test_consultations_are_none_of_the_gateways(hospital: Hospital, lin: Person, chen: Person, wang: Person) -> None:
    session_no = opened(lin, chen)
    assert bring(hospital, session_no, wang).status == 404
    assert kick(hospital, session_no, lin).status == 404
    assert archive(hospital, session_no).status == 404
    assert send(lin, session_no, "还在").status == 200


def test_archiving_and_opening_again_may_be_repeated(hospital: Hospital, guo: Visitor) -> None:
    conversations = [made(guo), seated(hospital, guo)]
    for closed in (True, True, False, False, True):
        assert archive(hospital, *conversations, *conversations, is_archive=closed).data is None
        assert {send(guo, one, "在吗").status for one in conversations} == {403 if closed else 200}


def test_archiving_is_for_all_of_them_or_none(hospital: Hospital, guo: Visitor) -> None:
    conversation = made(guo)
    assert archive(hospital, conversation, ABSENT).status == 404
    assert send(guo, conversation, "在吗").status == 200


@pytest.mark.parametrize("what", [what for what in INNER if what != "create_conversation"])
def test_what_is_not_there_is_not_found(hospital: Hospital, what: str) -> None:
    body: dict[str, Any] = {
        "conversation_id": ABSENT,
        "conversation_ids": [ABSENT],
        "sessions": ["x"],
        "is_archive": True,
    }
    answer = inner(hospital, what, **body)
    assert (answer.status, answer.code, answer.error) == (404, 10004, "会话不存在")


@pytest.mark.parametrize("what", WITH_PEOPLE)
def test_somebody_must_be_named(hospital: Hospital, guo: Visitor, what: str) -> None:
    answer = inner(hospital, what, conversation_id=made(guo), sessions=[])
    assert (answer.status, answer.code) == (400, 90011)


@pytest.mark.parametrize("bad", [None, "x", 7, [""], ["a b"], ["带中文"], [None], [["x"]], ["x" * 129], ["x"] * 501])
@pytest.mark.parametrize("what", WITH_PEOPLE)
def test_bad_names_are_refused(hospital: Hospital, guo: Visitor, what: str, bad: object) -> None:
    answer = inner(hospital, what, conversation_id=made(guo), sessions=bad)
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith("sessions")


@pytest.mark.parametrize("kind", [-1, 16])
def test_there_are_sixteen_types(hospital: Hospital, guo: Visitor, kind: int) -> None:
    answer = inner(hospital, "create_conversation", conversation_type=kind, sessions=[guo.session])
    assert (answer.status, answer.code) == (400, 90010)


@pytest.mark.parametrize("body", [{"is_archive": True}, {"is_archive": True, "conversation_ids": []}])
def test_archiving_wants_conversations(hospital: Hospital, body: dict[str, Any]) -> None:
    answer = inner(hospital, "set_archive_conversations", **body)
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith("conversation_ids：")


@pytest.mark.parametrize("bad", [None, "文", 7, []])
def test_archiving_wants_a_yes_or_no(hospital: Hospital, guo: Visitor, bad: object) -> None:
    answer = inner(hospital, "set_archive_conversations", conversation_ids=[made(guo)], is_archive=bad)
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith("is_archive：")


def test_five_hundred_people_are_one_conversation(hospital: Hospital) -> None:
    crowd = [visitor_of(number) for number in range(500)]
    conversation = inner(hospital, "create_conversation", sessions=crowd).data["ConversationId"]
    first, last = visitor(hospital, crowd[0]), visitor(hospital, crowd[-1])
    sent(first, conversation, "大家好")
    assert contents(last_30(last, conversation)) == ["大家好"]
    one_more = inner(hospital, "join_conversation", conversation_id=conversation, sessions=["late"])
    assert (one_more.status, one_more.code) == (409, 10005)
    kick(hospital, conversation, first)
    assert inner(hospital, "join_conversation", conversation_id=conversation, sessions=["late"]).status == 200


def visitor_of(number: int) -> str:
    return f"visitor-{number:03d}"


def test_all_of_them_find_room_or_none(
    hospital: Hospital, guo: Visitor, han: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "MAX_PARTICIPANTS", 2)
    conversation = seated(hospital, guo)
    assert bring(hospital, conversation, han, visitor(hospital, "third")).status == 409
    assert not joined(han, conversation)
    assert bring(hospital, conversation, han, guo).status == 200
