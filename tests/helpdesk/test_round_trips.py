"""What the help desk costs on the network: a list the same for many chats as for few, a message one packet."""

from collections.abc import Callable
from functools import partial

import pytest

from chalicelib.outbox import outbox
from tests.support import helpdesk_client as desks
from tests.support.factories import Hospital
from tests.support.helpdesk_client import HelpDesk
from tests.test_round_trips import Trips, trips

__all__ = ["trips"]


@pytest.fixture(autouse=True)
def promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is promised is another function's to do."""
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)


def test_the_lists_take_one_trip_however_many_chats_there_are(trips: Trips, hospital: Hospital) -> None:
    agent = hospital.desk
    HelpDesk(hospital).create_post(agent, cap=100)
    looks: list[Callable[[], object]] = [
        partial(desks.list_conversations, agent),
        partial(desks.list_conversations, agent, "userList"),
        partial(desks.get_message_count, agent),
    ]
    few, many = 2, 30
    for number, one in enumerate(desks.create_patients(hospital, many), 1):
        desks.add_message(one, "您好", ownType=2)
        if number in (few, many):
            assert desks.list_conversations(agent, size=100).body["count"] == number
            assert [trips.of(look) for look in looks] == [(1, 1)] * len(looks)


def test_a_message_takes_as_many_trips_the_longer_they_talk(trips: Trips, hospital: Hospital) -> None:
    """Lin's chat, and the packet; of the agent's also where they have met, and in which conversation."""
    lin, agent = hospital.lin, hospital.desk
    HelpDesk(hospital).create_post(agent)
    desks.add_message(lin, "您好", ownType=2)
    for _ in range(2):
        assert trips.of(lambda: desks.add_message(lin, "请问明天几点可以抽血？", ownType=2))[0] == 2
        assert trips.of(lambda: desks.add_message(agent, "七点半开始", receiveId=lin.user_id))[0] == 4
    page = partial(desks.find_messages, agent, 3, sendId=lin.user_id)
    page()
    assert trips.of(page)[0] == 3


def test_coming_to_the_desk_takes_as_many_trips_however_many_serve_and_wait(trips: Trips, hospital: Hospital) -> None:
    """Nobody else can be let in: those who wait are looked at in one query."""
    HelpDesk(hospital).create_post(hospital.desk, cap=1)
    first, *others = desks.create_patients(hospital, 12)
    desks.request_assignment(first)
    costs = set()
    for one in others:
        assert desks.get_agent_or_place(desks.request_assignment(one)).isdigit()
        costs.add(trips.of(partial(desks.request_assignment, one)))
    assert len(costs) == 1
