"""bin/bench helpdesk: coming to the desk, writing there, and the lists of an agent who has many chats, beside their
floor."""

import argparse
import random
from itertools import count
from typing import Any

from bench import alone
from bench.alone import Asking, Row
from bench.cast import COLUMNS, LETTERS, message
from bench.events import SAID, post
from bench.rows import Event
from bench.tables import Kept, counted, insert
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.helpdesk import messages
from chalicelib.messaging import ids
from tests import people
from tests.helpdesk.desk import Desk, patients, rows
from tests.people import Hospital, Person

AGENTS, CAP = 5, 200  # who serve; of each
OPEN = 20  # of the chats of who has many; the others are closed
TABLES = ("conversations", "participants", "chats", "messages", "posts", "desks", "outbox")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench helpdesk", description=__doc__)
    parser.add_argument("--chats", type=int, default=2_000, help="that one agent has")
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    alone.begun()
    hospital, busy = people.hospital(), people.hospital()
    served = patients(hospital, options.samples)
    agents = _agents(hospital)
    _served(busy, options.chats)
    asking = Asking()
    asking.measure(_coming(hospital, served))
    for row in _talk(hospital, served, agents):
        asking.measure(row)
    for row in _lists(busy.desk, options.chats, options.samples):
        asking.measure(row)
    return 0


def _agents(hospital: Hospital) -> dict[int, Person]:
    found = [people.worker(hospital.tenant_id, f"135{n:08}", f"客服{n}", "service_staff") for n in range(AGENTS)]
    for one in found:
        Desk(hospital).post(one, cap=CAP)
    return {one.user_id: one for one in found}


def _coming(hospital: Hospital, served: list[Person]) -> Row:
    """Each comes for the first time, and is given an agent."""
    nothing = Kept(hospital.tenant_id, *TABLES)
    events = [_asked(one, "obtainShunt", type="") for one in served]
    opened = counted(hospital.tenant_id, "chats", "state = 'open' AND agent_id IS NOT NULL")
    return Row("come to the desk", events, lambda answer: answer["data"]["state"] == "open", nothing.back, opened)


def _talk(hospital: Hospital, served: list[Person], agents: dict[int, Person]) -> list[Row]:
    """In the chats that they have by now."""
    agent = {one["user_id"]: agents[one["agent_id"]] for one in rows("chats", hospital)}
    said = counted(hospital.tenant_id, "messages")

    def sends(name: str, senders: list[Person], events: list[Event]) -> Row:
        def key(number: int, named: str) -> str:
            return messages._hash_texts([senders[number].principal, named])

        return Row(name, events, lambda answer: len(answer["data"]) == 1, done=said, key=key)

    to_desk = [_asked(one, "messageAdd", **_draft(2)) for one in served]
    answers = [_asked(agent[one.user_id], "messageAdd", **_draft(1, receiveId=one.user_id)) for one in served]
    read = {"msgType": 3, "userType": 1, "pageSize": 10}
    pages = [_asked(agent[one.user_id], "findMessage", sendId=one.user_id, **read) for one in served]
    return [
        sends("send, patient", served, to_desk),
        sends("send, agent", [agent[one.user_id] for one in served], answers),
        Row("newest page, agent", pages, lambda answer: len(answer["data"]) == 10),
    ]


def _draft(own_type: int, **more: Any) -> dict[str, Any]:
    return {"ownType": own_type, "title": "", "item": 0, "type": 0, "link": "", "itemType": 0, "content": SAID, **more}


def _lists(agent: Person, chats: int, samples: int) -> list[Row]:
    def asked(name: str, what: str, number: int, **query: Any) -> Row:
        event = _asked(agent, what, userType=1, **query)
        return Row(f"{name}, {chats:,} chats", [event] * samples, lambda answer: answer["count"] == number)

    return [
        asked("list", "conversationList", chats, page=1, size=10),
        asked("list, the open", "conversationList", OPEN, page=1, size=10, queryType=2),
        asked("people", "userList", chats, page=1, size=10),
        asked("unread count", "messageCount", chats),
    ]


def _asked(who: Person, what: str, **body: Any) -> Event:
    return post(f"/message/{what}", who.token, "", **body)


def _served(hospital: Hospital, chats: int) -> None:
    """Patients whom the desk's agent has served, with two messages each, of which one is to be read."""
    now, tenant_id, desk = clock.now(), hospital.tenant_id, hospital.desk
    users, rooms = count(_above("people", "user_id")), count(_above("conversations", "conversation_id"))
    made: dict[str, list[tuple[Any, ...]]] = {one: [] for one in COLUMNS_OF}
    for number, user_id, room in zip(range(chats), users, rooms, strict=False):
        public_id, began = ids.generate_public_id(), now - (chats - number) * clock.SECOND
        tag, tick, is_open = ids.compute_tag(public_id, 0), ids.compute_first_tick(began), number < OPEN
        patient, agent = f"user:{user_id}".encode(), desk.principal.encode()
        made["people"].append((user_id, tenant_id, "patient", now))
        made["accounts"].append((user_id, tenant_id, f"139{number:08}", b"", now))
        made["members"].append((tenant_id, user_id, "".join(random.choices(LETTERS, k=3)), "", 1, 1, now))
        made["conversations"].append(
            (room, tenant_id, public_id.encode(), "desk", 2, tick + 1, tick, tag, began, None if is_open else now)
        )
        made["participants"] += [(room, patient, tenant_id, 2, began), (room, agent, tenant_id, 1, began)]
        made["messages"] += [message(room, seq, tenant_id, tick + seq - 1, tag, (patient, patient)) for seq in (1, 2)]
        state = "open" if is_open else "closed"
        made["chats"].append((room, tenant_id, public_id.encode(), "desk", user_id, 0, state, desk.user_id, began))
    for table, found in made.items():
        insert(f"{table} ({COLUMNS_OF[table]})", found)


def _above(table: str, column: str) -> int:
    """Return a number that nobody will have been given until these rows are there."""
    return int(
        mysql.run_autocommit(lambda tx: tx.fetch_value(f"SELECT COALESCE(MAX({column}), 0) + 10000 FROM {table}"))
    )


COLUMNS_OF = {
    "people": "user_id, tenant_id, kind, created_at",
    "accounts": "user_id, tenant_id, phone, password_hash, created_at",
    "members": "tenant_id, user_id, name, phone, cont_relation, is_default, created_at",
    "conversations": "conversation_id, tenant_id, public_id, kind, last_seq, last_tick, prev_tick, tag, created_at, "
    "archived_at",
    "participants": "conversation_id, principal, tenant_id, read_seq, joined_at",
    "messages": ", ".join(COLUMNS),
    "chats": "conversation_id, tenant_id, session_id, kind, user_id, peer_id, state, agent_id, created_at",
}
