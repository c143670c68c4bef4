"""bin/bench helpdesk: joining the help desk, and messages there. Its lists: see long_lists.py."""

import argparse
from typing import Any

from bench import single_process
from bench.chat_cases import Event
from bench.lambda_events import MESSAGE_TEXT, build_post
from bench.single_process import Case, SingleProcessRun
from bench.tables import TableSnapshot, build_row_counter
from chalicelib.helpdesk.message_content import hash_texts
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.people.roles import Role
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import HelpDesk, create_patients, list_rows

AGENT_COUNT, MAX_CHATS_PER_AGENT = 5, 200
TABLES = ("conversations", "participants", "chats", "messages", "posts", "desks", "outbox")


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="bin/bench helpdesk", description=__doc__)
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    hospital = factories.create_hospital()
    patients = create_patients(hospital, options.samples)
    agents = _create_agents(hospital)
    run = SingleProcessRun()
    run.measure(_build_arrivals(hospital, patients))
    for case in _build_sends(hospital, patients, agents):
        run.measure(case)
    return 0


def _create_agents(hospital: Hospital) -> dict[int, Person]:
    agents = [
        factories.create_staff(hospital.tenant_id, f"135{n:08}", f"客服{n}", Role.SERVICE_STAFF)
        for n in range(AGENT_COUNT)
    ]
    for one in agents:
        HelpDesk(hospital).create_post(one, cap=MAX_CHATS_PER_AGENT)
    return {one.user_id: one for one in agents}


def _build_arrivals(hospital: Hospital, patients: list[Person]) -> Case:
    """Build the case in which each patient joins for the first time and is assigned to an agent."""
    snapshot = TableSnapshot(hospital.tenant_id, *TABLES)
    events = [_build_request(one, "obtainShunt", type="") for one in patients]
    assigned = build_row_counter(
        hospital.tenant_id, "chats", "state = %(open)s AND agent_id IS NOT NULL", open=ChatState.OPEN
    )
    return Case(
        *("join the help desk, first time", events),
        check=lambda body: body["data"]["state"] == "open",
        prepare=snapshot.restore,
        count_done=assigned,
    )


def _build_sends(hospital: Hospital, patients: list[Person], agents: dict[int, Person]) -> list[Case]:
    """Build the cases of messages in the chats that the arrivals have opened."""
    agent = {one["user_id"]: agents[one["agent_id"]] for one in list_rows("chats", hospital)}
    sent = build_row_counter(hospital.tenant_id, "messages")

    def sends(name: str, senders: list[Person], events: list[Event]) -> Case:
        def format_key(number: int, key: str) -> str:
            return hash_texts([senders[number].principal, key])

        return Case(name, events, lambda body: len(body["data"]) == 1, count_done=sent, format_key=format_key)

    to_desk = [_build_request(one, "messageAdd", **_build_message(2)) for one in patients]
    replies = [
        _build_request(agent[one.user_id], "messageAdd", **_build_message(1, receiveId=one.user_id)) for one in patients
    ]
    query = {"msgType": 3, "userType": 1, "pageSize": 10}
    pages = [_build_request(agent[one.user_id], "findMessage", sendId=one.user_id, **query) for one in patients]
    return [
        sends("send, patient", patients, to_desk),
        sends("send, agent", [agent[one.user_id] for one in patients], replies),
        Case("newest page, agent", pages, lambda body: len(body["data"]) == 10),
    ]


def _build_message(own_type: int, **more: Any) -> dict[str, Any]:
    return {
        "ownType": own_type,
        "title": "",
        "item": 0,
        "type": 0,
        "link": "",
        "itemType": 0,
        "content": MESSAGE_TEXT,
        **more,
    }


def _build_request(person: Person, endpoint: str, **body: Any) -> Event:
    return build_post(f"/message/{endpoint}", person.token, "", **body)
