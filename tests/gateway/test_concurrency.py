"""Concurrent membership changes and messages in several processes: every pair has one order."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql_statements import ER_LOCK_DEADLOCK
from chalicelib.messaging import membership, membership_store, reading_store
from tests.support.factories import Hospital
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.gateway_client import (
    ExternalUser,
    add_participants,
    archive,
    create_conversation,
    create_conversation_of,
    create_external_user,
    get_last_30,
    is_joined,
    join,
    leave,
    list_contents,
    remove_participants,
    send,
)
from tests.support.processes import run_in_processes
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def test_send_precedes_removal_or_is_rejected(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    """Four processes send for Han while another removes Han."""
    jobs = [("send", han, conversation, hospital)] * 4 + [("remove", han, conversation, hospital)]
    *sends, _ = run_in_processes(run_operation, jobs)
    statuses = [status for responses in sends for status in responses]
    assert set(statuses) <= {200, 404}
    assert all(responses == sorted(responses) for responses in sends), "sent after a rejection"
    assert len(list_contents(get_last_30(guo, conversation))) == min(30, 2 + statuses.count(200))


def test_send_precedes_archiving_or_is_rejected(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    jobs = [("send", user, conversation, hospital) for user in (guo, han) * 2] + [
        ("archive", han, conversation, hospital)
    ]
    *sends, _ = run_in_processes(run_operation, jobs)
    statuses = [status for responses in sends for status in responses]
    assert set(statuses) <= {200, 403}
    assert all(responses == sorted(responses) for responses in sends), "sent after a rejection"
    assert len(list_contents(get_last_30(guo, conversation))) == min(30, 2 + statuses.count(200))


def test_concurrent_joins_leaves_and_removals_have_one_outcome(
    hospital: Hospital, han: ExternalUser, conversation: str
) -> None:
    operations = ["join", "leave", "remove", "add", "join", "leave", "add", "send"]
    run_in_processes(run_operation, [(operation, han, conversation, hospital) for operation in operations])
    joined = is_joined(han, conversation)
    assert get_last_30(han, conversation).status == send(han, conversation, "我").status == (200 if joined else 404)
    remove_participants(hospital, conversation, han)
    assert get_last_30(han, conversation).status == join(han, conversation).status + 1 == 404


def run_operation(operation: str, user: ExternalUser, conversation: str, hospital: Hospital) -> list[int]:
    """Run an operation repeatedly in one of several processes; return the statuses."""
    calls: dict[str, Callable[[], Any]] = {
        "send": lambda: send(user, conversation, f"我{secrets.token_hex(4)}"),
        "remove": lambda: remove_participants(hospital, conversation, user),
        "add": lambda: add_participants(hospital, conversation, user),
        "archive": lambda: archive(hospital, conversation),
        "join": lambda: join(user, conversation),
        "leave": lambda: leave(user, conversation),
    }
    return [calls[operation]().status for _ in range(25)]


def test_join_waits_for_earlier_removal(
    hospital: Hospital, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal has locked Han's row and not committed; Han's join comes after it."""
    set_left = membership_store.set_left
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Any] = []

        def set_left_slowly(*arguments: Any, **more: Any) -> None:
            set_left(*arguments, **more)
            if not waiting:
                waiting.append(pool.submit(join, han, conversation))

        monkeypatch.setattr(membership_store, "set_left", set_left_slowly)
        remove_participants(hospital, conversation, han)
        assert waiting[0].result().status == 403
    assert not is_joined(han, conversation)


def test_second_of_two_joins_for_last_place_waits_and_is_rejected(
    hospital: Hospital, han: ExternalUser, guo: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has counted the participants and not committed when the second counts them."""
    monkeypatch.setattr(membership, "MAX_PARTICIPANTS", 2)
    conversation, count = create_conversation(guo), membership_store.count_participants
    with ThreadPoolExecutor(1) as pool:
        second: list[Any] = []

        def count_slowly(*arguments: Any) -> int:
            counted = count(*arguments)
            if not second:
                second.append(pool.submit(join, create_external_user(hospital, "second"), conversation))
                wait_until(lambda: second[0].done() or is_row_lock_waiting())
            return counted

        monkeypatch.setattr(membership_store, "count_participants", count_slowly)
        assert join(han, conversation).status == 200
        assert second[0].result().status == 409


def test_sends_and_membership_changes_do_not_deadlock(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A transaction that is retried after a deadlock is logged."""
    jobs = [("send", guo), ("send", han), ("send", han), ("remove", han), ("add", han), ("join", guo), ("leave", guo)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(lambda job: run_operation(job[0], job[1], conversation, hospital), jobs))
    retried = [record for record in caplog.records if record.getMessage() == "transaction retried"]
    assert [record for record in retried if record.__dict__["ids"]["mysql_error"] == ER_LOCK_DEADLOCK] == []


def test_sender_who_reads_at_the_same_time_does_not_deadlock(
    guo: ExternalUser, han: ExternalUser, conversation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Both change the sender's participant row: see store.append."""
    join(han, conversation)

    def send_many(user: ExternalUser) -> None:
        for number in range(20):
            assert send(user, conversation, f"{user.session} {number}").status == 200

    def read_many(user: ExternalUser) -> None:
        for seq in range(20):
            assert reading_store.advance_read_position(mysql.autocommit, conversation, user.principal, seq)

    run_in_threads(partial(work, user) for work in (send_many, read_many) for user in (guo, han))
    assert [record for record in caplog.records if record.getMessage() == "transaction retried"] == []


def test_participants_are_locked_in_one_order(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    """Two calls with the same principals in opposite orders do not deadlock."""
    conversation = create_conversation_of(hospital, guo, han)
    run_in_processes(add_and_remove, [(hospital.tenant_id, conversation, principals) for principals in ORDERS])
    more = [f"session:{number}x" for number in range(40)]
    membership.add_participants(hospital.tenant_id, conversation, more)
    rows = "SELECT COUNT(*) FROM participants WHERE tenant_id = %(tenant_id)s AND left_at IS NULL"
    assert mysql.autocommit.fetch_value(rows, tenant_id=hospital.tenant_id) == 42


ORDERS = [[f"session:{number}x" for number in order] for order in (range(40), range(39, -1, -1))] * 2


def add_and_remove(tenant_id: int, conversation: str, principals: list[str]) -> None:
    for _ in range(5):
        membership.add_participants(tenant_id, conversation, principals)
        membership.remove_participants(tenant_id, conversation, principals)
