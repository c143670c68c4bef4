"""bin/bench inbox: site messages read by who has many, and sent to one and to a thousand, beside their floor."""

import argparse

from bench import alone
from bench.alone import Asking, Row
from bench.events import SAID, get, post
from bench.tables import Kept, counted, insert
from chalicelib import clock
from chalicelib.adapters import mysql
from tests import people
from tests.people import Hospital, Person

MSG = "/msg_service/msg"
MOST = 1_000  # receivers of one request; ten of them are ten thousand
PAGE = 20  # messages: so many are unread


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench inbox", description=__doc__)
    parser.add_argument("--old", type=int, default=10_000, help="messages that Lin has read")
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    alone.begun()
    lin = people.hospital().lin
    _received(lin, options.old)
    asking = Asking()
    for row in [*_reads(lin, options.samples), *_sends(people.hospital(), options.samples)]:
        asking.measure(row)
    return 0


def _received(lin: Person, old: int) -> None:
    """What Lin has been sent: the last page of it is unread."""
    now, tenant_id = clock.now(), lin.tenant_id
    first = 1 + mysql.run_autocommit(
        lambda tx: tx.fetch_value("SELECT COALESCE(MAX(message_id), 0) FROM site_messages")
    )
    ids = range(first, first + old + PAGE)
    columns = "(message_id, tenant_id, sender, text, receivers, sent_at)"
    insert(f"site_messages {columns}", [(one, tenant_id, b"system", SAID, 1, now) for one in ids])
    rows = [(tenant_id, lin.user_id, one, int(one < first + old)) for one in ids]
    insert("site_deliveries (tenant_id, user_id, message_id, is_read)", rows)


def _reads(lin: Person, samples: int) -> list[Row]:
    def listed(status: str) -> Row:
        event = get(f"{MSG}/list", lin.token, page_size=PAGE, status=status)
        return Row(f"list, {status}", [event] * samples, lambda answer: len(answer["data"]) == PAGE)

    count = get(f"{MSG}/unread_count", lin.token)
    counted = Row("unread_count", [count] * samples, lambda answer: answer["data"]["count"] == PAGE)
    return [listed("unread"), listed("all"), counted]


def _sends(hospital: Hospital, samples: int) -> list[Row]:
    tenant_id = hospital.tenant_id
    insert("people (tenant_id, kind, created_at)", [(tenant_id, "patient", clock.now())] * MOST)
    known = mysql.run_autocommit(
        lambda tx: tx.fetch_all("SELECT user_id FROM people WHERE tenant_id = %(id)s", id=tenant_id)
    )
    nothing = Kept(tenant_id, "site_messages", "site_deliveries", "outbox")

    sent = counted(tenant_id, "site_messages")

    def send(number: int, times: int) -> Row:
        whom = [{"user_id": one["user_id"]} for one in known[-number:]]
        event = post(f"{MSG}/send", hospital.desk.token, "", tenantId=tenant_id, msg_text=SAID, user_list=whom)
        return Row(f"send to {number:,}", [event] * times, before=nothing.back, done=sent)

    return [send(1, samples), send(MOST, max(samples // 5, 2))]
