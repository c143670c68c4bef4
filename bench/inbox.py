"""bin/bench inbox: site messages read by who has many, and sent to one and to a thousand, beside their floor."""

import argparse

from bench import single_process
from bench.lambda_events import MESSAGE_TEXT, build_get, build_post
from bench.single_process import Case, SingleProcessRun
from bench.tables import TableSnapshot, build_row_counter, insert_rows
from chalicelib import clock
from chalicelib.adapters import mysql
from tests.support import factories
from tests.support.factories import Hospital, Person

MESSAGE_PATH = "/msg_service/msg"
MAX_RECEIVERS = 1_000  # receivers of one request; ten of them are ten thousand
PAGE_SIZE = 20  # messages: so many are unread


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench inbox", description=__doc__)
    parser.add_argument("--old", type=int, default=10_000, help="messages that Lin has read")
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    lin = factories.create_hospital().lin
    _insert_messages(lin, options.old)
    asking = SingleProcessRun()
    for row in [*_build_reads(lin, options.samples), *_build_sends(factories.create_hospital(), options.samples)]:
        asking.measure(row)
    return 0


def _insert_messages(lin: Person, old: int) -> None:
    """What Lin has been sent: the last page of it is unread."""
    now, tenant_id = clock.now(), lin.tenant_id
    first = 1 + mysql.autocommit.fetch_value("SELECT COALESCE(MAX(message_id), 0) FROM site_messages")
    ids = range(first, first + old + PAGE_SIZE)
    columns = "(message_id, tenant_id, sender, text, receivers, sent_at)"
    insert_rows(f"site_messages {columns}", [(one, tenant_id, b"system", MESSAGE_TEXT, 1, now) for one in ids])
    rows = [(tenant_id, lin.user_id, one, int(one < first + old)) for one in ids]
    insert_rows("site_deliveries (tenant_id, user_id, message_id, is_read)", rows)


def _build_reads(lin: Person, samples: int) -> list[Case]:
    def listed(status: str) -> Case:
        event = build_get(f"{MESSAGE_PATH}/list", lin.token, page_size=PAGE_SIZE, status=status)
        return Case(f"list, {status}", [event] * samples, lambda answer: len(answer["data"]) == PAGE_SIZE)

    count = build_get(f"{MESSAGE_PATH}/unread_count", lin.token)
    counted = Case("unread_count", [count] * samples, lambda answer: answer["data"]["count"] == PAGE_SIZE)
    return [listed("unread"), listed("all"), counted]


def _build_sends(hospital: Hospital, samples: int) -> list[Case]:
    tenant_id = hospital.tenant_id
    insert_rows("people (tenant_id, kind, created_at)", [(tenant_id, "patient", clock.now())] * MAX_RECEIVERS)
    known = mysql.autocommit.fetch_all("SELECT user_id FROM people WHERE tenant_id = %(id)s", id=tenant_id)
    nothing = TableSnapshot(tenant_id, "site_messages", "site_deliveries", "outbox")

    sent = build_row_counter(tenant_id, "site_messages")

    def send(number: int, times: int) -> Case:
        whom = [{"user_id": one["user_id"]} for one in known[-number:]]
        event = build_post(
            f"{MESSAGE_PATH}/send", hospital.desk.token, "", tenantId=tenant_id, msg_text=MESSAGE_TEXT, user_list=whom
        )
        return Case(f"send to {number:,}", [event] * times, prepare=nothing.restore, count_done=sent)

    return [send(1, samples), send(MAX_RECEIVERS, max(samples // 5, 2))]
