"""bin/bench inbox: reading site messages by a patient who has many, and sending to one and to 1,000 recipients."""

import argparse

from bench import single_process
from bench.lambda_events import MESSAGE_TEXT, build_get, build_post
from bench.single_process import Case, SingleProcessRun
from bench.tables import TableSnapshot, build_row_counter, insert_rows
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.people.roles import PersonKind
from tests.support import factories
from tests.support.factories import Hospital, Person

MESSAGE_PATH = "/msg_service/msg"
MAX_RECEIVERS = 1_000  # of one request
PAGE_SIZE = 20  # messages, and the number of unread ones


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="bin/bench inbox", description=__doc__)
    parser.add_argument("--old", type=int, default=10_000, help="messages that the patient has read")
    parser.add_argument("--samples", type=int, default=50, help="requests of each kind in a round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    patient = factories.create_hospital().lin
    _insert_messages(patient, options.old)
    run = SingleProcessRun()
    for case in [*_build_reads(patient, options.samples), *_build_sends(factories.create_hospital(), options.samples)]:
        run.measure(case)
    return 0


def _insert_messages(patient: Person, old: int) -> None:
    """Insert `old` messages that the patient has read, and a page of unread ones."""
    now, tenant_id = clock.now(), patient.tenant_id
    first = 1 + mysql.autocommit.fetch_value("SELECT COALESCE(MAX(message_id), 0) FROM site_messages")
    message_ids = range(first, first + old + PAGE_SIZE)
    columns = "(message_id, tenant_id, sender, text, recipients, sent_at)"
    insert_rows(f"site_messages {columns}", [(one, tenant_id, b"system", MESSAGE_TEXT, 1, now) for one in message_ids])
    rows = [(tenant_id, patient.user_id, one, int(one < first + old)) for one in message_ids]
    insert_rows("site_deliveries (tenant_id, user_id, message_id, is_read)", rows)


def _build_reads(patient: Person, samples: int) -> list[Case]:
    def listed(status: str) -> Case:
        event = build_get(f"{MESSAGE_PATH}/list", patient.token, page_size=PAGE_SIZE, status=status)
        return Case(f"list, {status}", [event] * samples, lambda body: len(body["data"]) == PAGE_SIZE)

    count = build_get(f"{MESSAGE_PATH}/unread_count", patient.token)
    counted = Case("unread_count", [count] * samples, lambda body: body["data"]["count"] == PAGE_SIZE)
    return [listed("unread"), listed("all"), counted]


def _build_sends(hospital: Hospital, samples: int) -> list[Case]:
    tenant_id = hospital.tenant_id
    insert_rows("people (tenant_id, kind, created_at)", [(tenant_id, PersonKind.PATIENT, clock.now())] * MAX_RECEIVERS)
    recipients = mysql.autocommit.fetch_all("SELECT user_id FROM people WHERE tenant_id = %(id)s", id=tenant_id)
    snapshot = TableSnapshot(tenant_id, "site_messages", "site_deliveries", "outbox")
    sent = build_row_counter(tenant_id, "site_messages")

    def send(number: int, times: int) -> Case:
        user_list = [{"user_id": one["user_id"]} for one in recipients[-number:]]
        event = build_post(
            f"{MESSAGE_PATH}/send",
            hospital.desk.token,
            "",
            tenantId=tenant_id,
            msg_text=MESSAGE_TEXT,
            user_list=user_list,
        )
        return Case(
            f"send to {number:,}",
            [event] * times,
            prepare=snapshot.restore,
            count_done=sent,
            format_key=lambda _, key: key,  # without keys, equal messages are merged
        )

    return [send(1, samples), send(MAX_RECEIVERS, max(samples // 5, 2))]
