"""bin/bench helpdesk: joining the help desk, messages, and the lists of an agent with many chats."""

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
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.messaging import ids
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import account_phones, phones
from chalicelib.people.roles import PersonKind, Role
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import HelpDesk, create_patients, list_rows

AGENT_COUNT, MAX_CHATS_PER_AGENT = 5, 200
OPEN_CHATS = 20  # of the agent with many chats; the others are closed
TABLES = ("conversations", "participants", "chats", "messages", "posts", "desks", "outbox")


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="bin/bench helpdesk", description=__doc__)
    parser.add_argument(
        "--chats", type=int, nargs="+", default=[1_000, 10_000], help="of agents with many chats, one for each number"
    )
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    hospital = factories.create_hospital()
    patients = create_patients(hospital, options.samples)
    agents = _create_agents(hospital)
    busy = {chats: factories.create_hospital() for chats in options.chats}
    for chats, its_hospital in busy.items():
        _insert_chats(its_hospital, chats)
    run = SingleProcessRun()
    run.measure(_build_arrivals(hospital, patients))
    for case in _build_sends(hospital, patients, agents):
        run.measure(case)
    for chats, its_hospital in busy.items():
        for case in _build_lists(its_hospital.desk, chats, options.samples):
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


def _build_lists(agent: Person, chats: int, samples: int) -> list[Case]:
    def lists(name: str, endpoint: str, count: int, **query: Any) -> Case:
        event = _build_request(agent, endpoint, userType=1, **query)
        return Case(name, [event] * samples, lambda body: body["count"] == count)

    return [
        lists(f"list, {chats:,} chats", "conversationList", chats, page=1, size=10),
        lists(f"list, open, {chats:,} chats", "conversationList", OPEN_CHATS, page=1, size=10, queryType=2),
        lists(f"people, {chats:,} chats", "userList", chats, page=1, size=10),
        lists(f"unread count, {chats:,} chats", "messageCount", OPEN_CHATS),
        Case(
            f"joined, {chats:,} chats",
            [build_post("/get_joined_conversation", agent.token, "", limit=100)] * samples,
            lambda body: len(body["data"]["Conversations"]) == min(chats, 100),
        ),
    ]


def _build_request(person: Person, endpoint: str, **body: Any) -> Event:
    return build_post(f"/message/{endpoint}", person.token, "", **body)


def _insert_chats(hospital: Hospital, chats: int) -> None:
    """Insert patients served by the hospital's agent, each with a chat of two messages; in open ones, one is unread."""
    now, tenant_id, desk = clock.now(), hospital.tenant_id, hospital.desk
    user_ids = count(_get_unused_id("people", "user_id"))
    conversation_ids = count(_get_unused_id("conversations", "conversation_id"))
    rows: dict[str, list[tuple[Any, ...]]] = {one: [] for one in COLUMNS_BY_TABLE}
    for number, user_id, conversation_id in zip(range(chats), user_ids, conversation_ids, strict=False):
        public_id, created_at = ids.generate_public_id(), now - (chats - number) * clock.SECOND
        tag, tick, is_open = ids.compute_tag(public_id, 0), ids.compute_first_tick(created_at), number < OPEN_CHATS
        patient, agent = f"user:{user_id}".encode(), desk.principal.encode()
        rows["people"].append((user_id, tenant_id, PersonKind.PATIENT, now))
        rows["accounts"].append((user_id, tenant_id, *_seal_phone(tenant_id, user_id, f"139{number:08}"), b"", now))
        rows["members"].append((tenant_id, user_id, "".join(random.choices(COMMON_CHARACTERS, k=3)), 1, 1, now))
        rows["conversations"].append(
            (
                *(conversation_id, tenant_id, public_id.encode(), ConversationKind.DESK, 2),
                *(tick + 1, tick, tag, created_at, None if is_open else now),
            )
        )
        rows["participants"] += [
            (conversation_id, principal, tenant_id, read_seq, 2, tick + 1, not is_open, peer_id, created_at)
            for principal, read_seq, peer_id in ((patient, 2, desk.user_id), (agent, 1 if is_open else 2, user_id))
        ]
        rows["messages"] += [
            build_message_row(conversation_id, seq, tenant_id, tick + seq - 1, tag, (patient, patient))
            for seq in (1, 2)
        ]
        state = ChatState.OPEN if is_open else ChatState.CLOSED
        rows["chats"].append(
            (
                *(conversation_id, tenant_id, public_id.encode(), ConversationKind.DESK),
                user_id,
                0,
                state,
                desk.user_id,
                created_at,
            )
        )
    for table, its_rows in rows.items():
        insert_rows(f"{table} ({COLUMNS_BY_TABLE[table]})", its_rows)


def _seal_phone(tenant_id: int, user_id: int, phone: str) -> tuple[bytes | None, bytes]:
    sealed = phones.seal(tenant_id, account_phones.TABLE_NAME, user_id, phone)
    return sealed, phones.compute_blind_index(tenant_id, phone)


def _get_unused_id(table: str, column: str) -> int:
    """Return an id that no row will have been given until these rows are inserted."""
    return int(mysql.autocommit.fetch_value(f"SELECT COALESCE(MAX({column}), 0) + 10000 FROM {table}"))


COLUMNS_BY_TABLE = {
    "people": "user_id, tenant_id, kind, created_at",
    "accounts": "user_id, tenant_id, phone_sealed, phone_blind, password_hash, created_at",
    "members": "tenant_id, user_id, name, cont_relation, is_default, created_at",
    "conversations": "conversation_id, tenant_id, public_id, kind, last_seq, last_tick, prev_tick, tag, created_at, "
    "archived_at",
    "participants": "conversation_id, principal, tenant_id, read_seq, newest_seq, active_tick, archived, peer_id, "
    "joined_at",
    "messages": ", ".join(MESSAGE_COLUMNS),
    "chats": "conversation_id, tenant_id, session_id, kind, user_id, peer_id, state, agent_id, created_at",
}
