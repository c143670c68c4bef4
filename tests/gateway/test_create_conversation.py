from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import clock
from chalicelib.people import double_submission
from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.gateway_client import (
    ExternalUser,
    call_on_conversation,
    create_conversation,
    create_conversation_of,
    is_joined,
    join,
)
from tests.support.threads import run_in_threads


def test_creator_takes_part(hospital: Hospital, guo: ExternalUser) -> None:
    for person in (guo, hospital.lin, hospital.chen, hospital.desk, hospital.admin):
        conversation = create_conversation(person)
        assert is_joined(person, conversation)
        assert call_on_conversation(person, "get_conversation_detail", conversation).data["ConversationType"] == 0


def test_conversation_type_is_stored(guo: ExternalUser) -> None:
    for conversation_type in (0, "7", 15):
        conversation = create_conversation(guo, conversation_type=conversation_type)
        assert call_on_conversation(guo, "get_conversation_detail", conversation).data["ConversationType"] == int(
            conversation_type
        )


@pytest.mark.parametrize("conversation_type", [-1, 16, 2**40])
def test_there_are_sixteen_types(guo: ExternalUser, conversation_type: int) -> None:
    response = post("/create_conversation", guo.token, conversation_type=conversation_type)
    assert (response.status, response.code) == (400, 90010)


@pytest.mark.parametrize("conversation_type", ["文", [], True, 1.5])
def test_type_must_be_a_number(guo: ExternalUser, conversation_type: object) -> None:
    response = post("/create_conversation", guo.token, conversation_type=conversation_type)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("conversation_type：")


def test_request_that_is_submitted_twice_without_key_creates_one(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    creators: list[tuple[str, Callable[[], str]]] = [
        ("session", lambda: create_conversation(guo, "")),
        ("person", lambda: create_conversation(hospital.lin, "")),
        ("system", lambda: create_conversation_of(hospital, guo, han, key="")),
    ]
    now = clock.now()
    for name, create in creators:
        monkeypatch.setattr(clock, "now", lambda: now)
        first = set(run_in_threads([create] * 4))
        monkeypatch.setattr(clock, "now", lambda: now + double_submission.WINDOW - 1)
        assert first == {create()}, name
        monkeypatch.setattr(clock, "now", lambda: now + double_submission.WINDOW)
        assert first != {create()}, name
    assert create_conversation(guo, "", conversation_type=3) != create_conversation(guo, "", conversation_type=4)


def test_same_key_returns_same_conversation(guo: ExternalUser, han: ExternalUser) -> None:
    first = create_conversation(guo, "k1", conversation_type=3)
    join(han, first)
    assert create_conversation(guo, "k1", conversation_type=3) == first
    assert create_conversation(han, "k1", conversation_type=3) != first


def test_same_key_for_another_type_is_a_conflict(guo: ExternalUser) -> None:
    create_conversation(guo, "k1")
    response = post("/create_conversation", guo.token, {"Idempotency-Key": "k1"}, conversation_type=3)
    assert (response.status, response.code) == (409, 10005)


def test_concurrent_requests_with_one_key_create_one(guo: ExternalUser) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: create_conversation(guo, "k1"), range(16)))) == 1
    assert len(post("/get_joined_conversation", guo.token).data["Conversations"]) == 1
