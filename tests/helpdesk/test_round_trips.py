"""Round trips of the help desk: a list has the same number for any number of chats, a message is one packet."""

from collections.abc import Callable
from functools import partial
from itertools import count

import pytest

from chalicelib.outbox import outbox
from tests.support import helpdesk_client
from tests.support.factories import Hospital
from tests.support.helpdesk_client import HelpDesk
from tests.support.round_trips import RoundTrips, trips

__all__ = ["trips"]


@pytest.fixture(autouse=True)
def no_outbox_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave outbox jobs to the worker function."""
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)


def test_lists_take_one_round_trip_for_any_number_of_chats(trips: RoundTrips, hospital: Hospital) -> None:
    agent = hospital.desk
    HelpDesk(hospital).create_post(agent, cap=100)
    requests: list[Callable[[], object]] = [
        partial(helpdesk_client.list_conversations, agent),
        partial(helpdesk_client.list_conversations, agent, "userList"),
        partial(helpdesk_client.get_message_count, agent),
    ]
    few, many = 2, 30
    for number, one in enumerate(helpdesk_client.create_patients(hospital, many), 1):
        helpdesk_client.add_message(one, "您好", ownType=2)
        if number in (few, many):
            assert helpdesk_client.list_conversations(agent, size=100).body["count"] == number
            assert [trips.count(request) for request in requests] == [(1, 1)] * len(requests)


def test_round_trips_of_a_message_do_not_grow_with_the_conversation(trips: RoundTrips, hospital: Hospital) -> None:
    """A patient's message reads the chat; an agent's reads the patient, the shared chat and the conversation."""
    lin, agent = hospital.lin, hospital.desk
    HelpDesk(hospital).create_post(agent)
    helpdesk_client.add_message(lin, "您好", ownType=2)
    numbers = count()
    for _ in range(2):
        assert trips.count(lambda: helpdesk_client.add_message(lin, f"几点？{next(numbers)}", ownType=2))[0] == 2
        assert (
            trips.count(lambda: helpdesk_client.add_message(agent, f"七点{next(numbers)}", receiveId=lin.user_id))[0]
            == 4
        )
    page = partial(helpdesk_client.find_messages, agent, 3, sendId=lin.user_id)
    page()
    assert trips.count(page)[0] == 3


def test_round_trips_of_a_request_do_not_grow_with_the_queue(trips: RoundTrips, hospital: Hospital) -> None:
    """No further patient can be assigned: the queue is read with one query."""
    HelpDesk(hospital).create_post(hospital.desk, cap=1)
    first, *others = helpdesk_client.create_patients(hospital, 12)
    helpdesk_client.request_assignment(first)
    costs = set()
    for one in others:
        assert helpdesk_client.get_agent_or_place(helpdesk_client.request_assignment(one)).isdigit()
        costs.add(trips.count(partial(helpdesk_client.request_assignment, one)))
    assert len(costs) == 1
