"""bin/bench lists: lists and counters of conversations, with 100, 10,000 and 100,000 of them.

All conversations are in the same tables. Requests of each length alternate, so that all see the same machine. The rows
that MySQL reads for a request are counted too: they do not depend on what else the machine does.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

from app import app
from bench import single_process
from bench.chat_cases import Event
from bench.console import print_line
from bench.consultations import COMMON_CHARACTERS, MESSAGE_COLUMNS, build_message_row
from bench.lambda_events import LambdaContext, build_post
from bench.tables import insert_rows
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.messaging import ids
from chalicelib.messaging.models import ConversationKind
from chalicelib.people import account_phones, phones
from chalicelib.people.roles import PersonKind
from tests.support import factories
from tests.support.factories import Hospital, Person

LENGTHS = (100, 10_000, 100_000)
OPEN_CHATS = 20  # of each agent, the oldest, each with an unread message; the others are closed and read
SECONDS_BETWEEN_CHATS = 60
PAGE_SIZE = 10
MAX_RATIO = 1.25  # target: the p50 with the longest list over that with the middle one
CONTEXT = LambdaContext()


@dataclass(frozen=True)
class Request:
    """A request of an agent.

    Attributes:
        event: of API Gateway.
        size: how many entries its response has; for a count, the count itself.
        found: the path of the entries, or of the count, in the body.
    """

    event: Event
    size: int
    found: tuple[str, ...] = ("data",)


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if a list takes longer with its length."""
    parser = argparse.ArgumentParser(prog="bin/bench lists", description=__doc__)
    parser.add_argument("--chats", type=int, nargs="+", default=LENGTHS, help="lengths, of an agent each")
    parser.add_argument("--samples", type=int, default=200, help="requests of each kind and length")
    options = parser.parse_args(arguments)
    single_process.prepare()
    requests = {}
    for length in options.chats:
        hospital = factories.create_hospital()
        _insert_chats(hospital, length)
        requests[length] = dict(_build_requests(hospital.desk, length))
    names = list(requests[options.chats[0]])
    columns = "".join(f"{f'{length:,}':>10}" for length in options.chats)
    print_line(f"\n{'':32}|{'p50, ms':^{len(columns)}}|{'':7}|{'rows read':^{len(columns)}}")
    print_line(f"{'conversations':32}|{columns}| ratio |{columns}")
    slow = [name for name in names if _measure(name, requests, options.samples) > MAX_RATIO]
    print_line(f"target: ratio ≤ {MAX_RATIO}" + (f"; MISSED: {', '.join(slow)}" if slow else ", met"))
    return int(bool(slow))


def _measure(name: str, requests: dict[int, dict[str, Request]], samples: int) -> float:
    """Measure a request with each length and print its line; return the ratio of the last two p50s."""
    durations: dict[int, list[float]] = defaultdict(list)
    for _ in range(samples):
        for length, its_requests in requests.items():
            durations[length].append(_send(its_requests[name]))
    rows = {length: _count_rows_read(its_requests[name]) for length, its_requests in requests.items()}
    p50s = [median(durations[length]) * 1000 for length in requests]
    ratio = p50s[-1] / p50s[-2]
    times, counts = "".join(f"{p50:>10.2f}" for p50 in p50s), "".join(f"{one:>10,}" for one in rows.values())
    print_line(f"{name:32}|{times}|{ratio:>6.2f} |{counts}")
    return ratio


def _send(request: Request) -> float:
    """Send a request and return how long it took. Raise ValueError if its response is not the expected one."""
    started = time.perf_counter()
    response = app(request.event, CONTEXT)
    seconds = time.perf_counter() - started
    found = json.loads(response["body"])
    for name in request.found:
        found = found[name]
    if (found if isinstance(found, int) else len(found)) != request.size:
        raise ValueError(f"{request.event['path']}: {response['body'][:500]}")
    return seconds


def _count_rows_read(request: Request) -> int:
    """Return how many rows MySQL reads for a request, those of its own status included."""
    before = _get_rows_read()
    _send(request)
    after = _get_rows_read()
    return 2 * after - before - _get_rows_read()


def _get_rows_read() -> int:
    rows = mysql.autocommit.fetch_all("SHOW GLOBAL STATUS LIKE 'Handler_read%%'")
    return sum(int(row["Value"]) for row in rows)


def _build_requests(agent: Person, length: int) -> Iterator[tuple[str, Request]]:
    """Yield the requests of an agent by name."""

    def build(endpoint: str, expected: int, found: str = "data", **body: Any) -> Request:
        event = build_post(f"/message/{endpoint}", agent.token, "", userType=1, **body)
        return Request(event, expected, (found,))

    page: dict[str, Any] = {"page": 1, "size": PAGE_SIZE}
    middle = _find_middle(agent, length)
    for endpoint in ("conversationList", "userList"):
        yield endpoint, build(endpoint, length, "count", **page)
        yield f"{endpoint}, open", build(endpoint, PAGE_SIZE, **page, queryType=2)
        yield f"{endpoint}, unread", build(endpoint, PAGE_SIZE, **page, queryType=1)
        yield f"{endpoint}, from the middle", build(endpoint, PAGE_SIZE, **page, before=middle)
    yield "messageCount", build("messageCount", OPEN_CHATS)
    joined = build_post("/get_joined_conversation", agent.token, "", limit=50)
    yield "get_joined_conversation", Request(joined, 50, ("data", "Conversations"))


def _find_middle(agent: Person, length: int) -> str:
    """Return the position of the entry in the middle of an agent's list."""
    row = mysql.autocommit.fetch_one(
        """
        SELECT active_tick, conversation_id FROM participants
        WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s
        ORDER BY active_tick LIMIT 1 OFFSET %(half)s
        """,
        tenant_id=agent.tenant_id,
        principal=agent.principal.encode(),
        half=length // 2,
    )
    assert row
    return f"{row['active_tick']}.{row['conversation_id']}"


def _insert_chats(hospital: Hospital, chats: int) -> None:
    """Insert patients served by the hospital's agent, each with a chat of two messages; in open ones, one is unread."""
    now, tenant_id, desk = clock.now(), hospital.tenant_id, hospital.desk
    user_ids = count(_get_unused_id("people", "user_id"))
    conversation_ids = count(_get_unused_id("conversations", "conversation_id"))
    rows: dict[str, list[tuple[Any, ...]]] = {one: [] for one in COLUMNS_BY_TABLE}
    for number, user_id, conversation_id in zip(range(chats), user_ids, conversation_ids, strict=False):
        public_id, created_at = ids.generate_public_id(), now - (chats - number) * SECONDS_BETWEEN_CHATS * clock.SECOND
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
