"""bin/bench helpdesk: coming to the desk, writing there, and the lists of an agent who has many chats, beside their
floor."""

import argparse
import random
from itertools import count
from typing import Any

from bench import single_process
from bench.chat_cases import Event
from bench.consultations import COMMON_CHARACTERS, MESSAGE_COLUMNS, build_message_row
from bench.lambda_events import MESSAGE_TEXT, build_post
from bench.single_process import Case, SingleProcessRun
from bench.tables import TableSnapshot, build_row_counter, insert_rows
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.helpdesk.message_content import hash_texts
from chalicelib.messaging import ids
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import HelpDesk, create_patients, list_rows

AGENTS, MAX_CHATS_PER_AGENT = 5, 200  # who serve; of each
OPEN_CHATS = 20  # of the chats of who has many; the others are closed
TABLES = ("conversations", "participants", "chats", "messages", "posts", "desks", "outbox")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench helpdesk", description=__doc__)
    parser.add_argument("--chats", type=int, default=2_000, help="that one agent has")
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    hospital, busy = factories.create_hospital(), factories.create_hospital()
    served = create_patients(hospital, options.samples)
    agents = _create_agents(hospital)
    _insert_chats(busy, options.chats)
    asking = SingleProcessRun()
    asking.measure(_build_arrivals(hospital, served))
    for row in _build_sends(hospital, served, agents):
        asking.measure(row)
    for row in _build_lists(busy.desk, options.chats, options.samples):
        asking.measure(row)
    return 0


def _create_agents(hospital: Hospital) -> dict[int, Person]:
    found = [
        factories.create_staff(hospital.tenant_id, f"135{n:08}", f"客服{n}", "service_staff") for n in range(AGENTS)
    ]
    for one in found:
        HelpDesk(hospital).create_post(one, cap=MAX_CHATS_PER_AGENT)
    return {one.user_id: one for one in found}


def _build_arrivals(hospital: Hospital, served: list[Person]) -> Case:
    """Each comes for the first time, and is given an agent."""
    nothing = TableSnapshot(hospital.tenant_id, *TABLES)
    events = [_build_request(one, "obtainShunt", type="") for one in served]
    opened = build_row_counter(hospital.tenant_id, "chats", "state = 'open' AND agent_id IS NOT NULL")
    return Case("come to the desk", events, lambda answer: answer["data"]["state"] == "open", nothing.restore, opened)


def _build_sends(hospital: Hospital, served: list[Person], agents: dict[int, Person]) -> list[Case]:
    """In the chats that they have by now."""
    agent = {one["user_id"]: agents[one["agent_id"]] for one in list_rows("chats", hospital)}
    said = build_row_counter(hospital.tenant_id, "messages")

    def sends(name: str, senders: list[Person], events: list[Event]) -> Case:
        def key(number: int, named: str) -> str:
            return hash_texts([senders[number].principal, named])

        return Case(name, events, lambda answer: len(answer["data"]) == 1, count_done=said, format_key=key)

    to_desk = [_build_request(one, "messageAdd", **_build_message(2)) for one in served]
    answers = [
        _build_request(agent[one.user_id], "messageAdd", **_build_message(1, receiveId=one.user_id)) for one in served
    ]
    read = {"msgType": 3, "userType": 1, "pageSize": 10}
    pages = [_build_request(agent[one.user_id], "findMessage", sendId=one.user_id, **read) for one in served]
    return [
        sends("send, patient", served, to_desk),
        sends("send, agent", [agent[one.user_id] for one in served], answers),
        Case("newest page, agent", pages, lambda answer: len(answer["data"]) == 10),
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


def _build_lists(agent: Person, chats: int, samples: int) -> list[Case]:
    def asked(name: str, what: str, number: int, **query: Any) -> Case:
        event = _build_request(agent, what, userType=1, **query)
        return Case(f"{name}, {chats:,} chats", [event] * samples, lambda answer: answer["count"] == number)

    return [
        asked("list", "conversationList", chats, page=1, size=10),
        asked("list, the open", "conversationList", OPEN_CHATS, page=1, size=10, queryType=2),
        asked("people", "userList", chats, page=1, size=10),
        asked("unread count", "messageCount", chats),
    ]


def _build_request(who: Person, what: str, **body: Any) -> Event:
    return build_post(f"/message/{what}", who.token, "", **body)


def _insert_chats(hospital: Hospital, chats: int) -> None:
    """Patients whom the desk's agent has served, with two messages each, of which one is to be read."""
    now, tenant_id, desk = clock.now(), hospital.tenant_id, hospital.desk
    users, rooms = count(_get_unused_id("people", "user_id")), count(_get_unused_id("conversations", "conversation_id"))
    made: dict[str, list[tuple[Any, ...]]] = {one: [] for one in COLUMNS_BY_TABLE}
    for number, user_id, room in zip(range(chats), users, rooms, strict=False):
        public_id, began = ids.generate_public_id(), now - (chats - number) * clock.SECOND
        tag, tick, is_open = ids.compute_tag(public_id, 0), ids.compute_first_tick(began), number < OPEN_CHATS
        patient, agent = f"user:{user_id}".encode(), desk.principal.encode()
        made["people"].append((user_id, tenant_id, "patient", now))
        made["accounts"].append((user_id, tenant_id, f"139{number:08}", b"", now))
        made["members"].append((tenant_id, user_id, "".join(random.choices(COMMON_CHARACTERS, k=3)), "", 1, 1, now))
        made["conversations"].append(
            (room, tenant_id, public_id.encode(), "desk", 2, tick + 1, tick, tag, began, None if is_open else now)
        )
        made["participants"] += [(room, patient, tenant_id, 2, began), (room, agent, tenant_id, 1, began)]
        made["messages"] += [
            build_message_row(room, seq, tenant_id, tick + seq - 1, tag, (patient, patient)) for seq in (1, 2)
        ]
        state = "open" if is_open else "closed"
        made["chats"].append((room, tenant_id, public_id.encode(), "desk", user_id, 0, state, desk.user_id, began))
    for table, found in made.items():
        insert_rows(f"{table} ({COLUMNS_BY_TABLE[table]})", found)


def _get_unused_id(table: str, column: str) -> int:
    """Return a number that nobody will have been given until these rows are there."""
    return int(mysql.autocommit.fetch_value(f"SELECT COALESCE(MAX({column}), 0) + 10000 FROM {table}"))


COLUMNS_BY_TABLE = {
    "people": "user_id, tenant_id, kind, created_at",
    "accounts": "user_id, tenant_id, phone, password_hash, created_at",
    "members": "tenant_id, user_id, name, phone, cont_relation, is_default, created_at",
    "conversations": "conversation_id, tenant_id, public_id, kind, last_seq, last_tick, prev_tick, tag, created_at, "
    "archived_at",
    "participants": "conversation_id, principal, tenant_id, read_seq, joined_at",
    "messages": ", ".join(MESSAGE_COLUMNS),
    "chats": "conversation_id, tenant_id, session_id, kind, user_id, peer_id, state, agent_id, created_at",
}
