from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.gateway_client import ExternalUser, call_on_conversation, create_conversation, is_joined, join


def test_whoever_makes_a_conversation_is_in_it(hospital: Hospital, guo: ExternalUser) -> None:
    for person in (guo, hospital.lin, hospital.chen, hospital.desk, hospital.admin):
        conversation = create_conversation(person)
        assert is_joined(person, conversation)
        assert call_on_conversation(person, "get_conversation_detail", conversation).data["ConversationType"] == 0


def test_its_type_is_kept_and_is_in_the_ids_of_its_messages(guo: ExternalUser) -> None:
    for kind in (0, "7", 15):
        conversation = create_conversation(guo, conversation_type=kind)
        assert call_on_conversation(guo, "get_conversation_detail", conversation).data["ConversationType"] == int(kind)


@pytest.mark.parametrize("kind", [-1, 16, 2**40])
def test_there_are_sixteen_types(guo: ExternalUser, kind: int) -> None:
    answer = post("/create_conversation", guo.token, conversation_type=kind)
    assert (answer.status, answer.code) == (400, 90010)


@pytest.mark.parametrize("kind", ["文", None, [], True, 1.5])
def test_a_type_is_a_number(guo: ExternalUser, kind: object) -> None:
    answer = post("/create_conversation", guo.token, conversation_type=kind)
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith("conversation_type：")


def test_without_a_key_asking_twice_makes_two(guo: ExternalUser) -> None:
    assert create_conversation(guo) != create_conversation(guo)


def test_with_a_key_asking_again_finds_the_same_one(guo: ExternalUser, han: ExternalUser) -> None:
    first = create_conversation(guo, "k1", conversation_type=3)
    join(han, first)
    assert create_conversation(guo, "k1", conversation_type=3) == first
    assert create_conversation(han, "k1", conversation_type=3) != first


def test_the_same_key_for_another_type_is_a_conflict(guo: ExternalUser) -> None:
    create_conversation(guo, "k1")
    answer = post("/create_conversation", guo.token, {"Idempotency-Key": "k1"}, conversation_type=3)
    assert (answer.status, answer.code) == (409, 10005)


def test_one_key_at_once_makes_one(guo: ExternalUser) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: create_conversation(guo, "k1"), range(16)))) == 1
    assert len(post("/get_joined_conversation", guo.token).data["Conversations"]) == 1
