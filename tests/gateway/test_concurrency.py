"""Membership changes and messages at once, in several processes: every pair has one order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql_statements import ER_LOCK_DEADLOCK
from chalicelib.messaging import membership, membership_store
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

pytestmark = pytest.mark.store


def test_send_precedes_removal_or_is_rejected(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    """Four processes send for Han while another puts Han out."""
    jobs = [("send", han, conversation, hospital)] * 4 + [("kick", han, conversation, hospital)]
    *sends, _ = run_in_processes(take_part, jobs)
    statuses = [status for answers in sends for status in answers]
    assert set(statuses) <= {200, 404}
    assert all(answers == sorted(answers) for answers in sends), "sent after a refusal"
    assert len(list_contents(get_last_30(guo, conversation))) == min(30, 2 + statuses.count(200))


def test_send_precedes_archiving_or_is_rejected(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    jobs = [("send", who, conversation, hospital) for who in (guo, han) * 2] + [
        ("archive", han, conversation, hospital)
    ]
    *sends, _ = run_in_processes(take_part, jobs)
    statuses = [status for answers in sends for status in answers]
    assert set(statuses) <= {200, 403}
    assert all(answers == sorted(answers) for answers in sends), "sent after a refusal"
    assert len(list_contents(get_last_30(guo, conversation))) == min(30, 2 + statuses.count(200))


def test_concurrent_joins_leaves_and_removals_have_one_outcome(
    hospital: Hospital, han: ExternalUser, conversation: str
) -> None:
    whats = ["join", "leave", "kick", "bring", "join", "leave", "bring", "send"]
    run_in_processes(take_part, [(what, han, conversation, hospital) for what in whats])
    is_in = is_joined(han, conversation)
    assert get_last_30(han, conversation).status == send(han, conversation, "我").status == (200 if is_in else 404)
    remove_participants(hospital, conversation, han)
    assert get_last_30(han, conversation).status == join(han, conversation).status + 1 == 404


def take_part(what: str, who: ExternalUser, conversation: str, hospital: Hospital) -> list[int]:
    """One of several processes: a few dozen times the same thing."""
    doing: dict[str, Callable[[], Any]] = {
        "send": lambda: send(who, conversation, "我"),
        "kick": lambda: remove_participants(hospital, conversation, who),
        "bring": lambda: add_participants(hospital, conversation, who),
        "archive": lambda: archive(hospital, conversation),
        "join": lambda: join(who, conversation),
        "leave": lambda: leave(who, conversation),
    }
    return [doing[what]().status for _ in range(25)]


def test_join_waits_for_earlier_removal(
    hospital: Hospital, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kick holds Han's seat and has not committed; what Han does then is done after it."""
    stand = membership_store.set_left
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Any] = []

        def slowly(*arguments: Any, **more: Any) -> None:
            stand(*arguments, **more)
            if not waiting:
                waiting.append(pool.submit(join, han, conversation))

        monkeypatch.setattr(membership_store, "set_left", slowly)
        remove_participants(hospital, conversation, han)
        assert waiting[0].result().status == 403
    assert not is_joined(han, conversation)


def test_second_of_two_joins_for_last_place_waits_and_is_rejected(
    hospital: Hospital, han: ExternalUser, guo: ExternalUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has counted the seats and not committed, when the second comes to count them."""
    monkeypatch.setattr(membership, "MAX_PARTICIPANTS", 2)
    conversation, count = create_conversation(guo), membership_store.count_participants
    with ThreadPoolExecutor(1) as pool:
        second: list[Any] = []

        def slowly(*arguments: Any) -> int:
            counted = count(*arguments)
            if not second:
                second.append(pool.submit(join, create_external_user(hospital, "second"), conversation))
                wait_until(lambda: second[0].done() or is_row_lock_waiting())
            return counted

        monkeypatch.setattr(membership_store, "count_participants", slowly)
        assert join(han, conversation).status == 200
        assert second[0].result().status == 409


def test_sends_and_membership_changes_do_not_deadlock(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that did would be run again, and say so."""
    jobs = [("send", guo), ("send", han), ("send", han), ("kick", han), ("bring", han), ("join", guo), ("leave", guo)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(lambda job: take_part(job[0], job[1], conversation, hospital), jobs))
    again = [record for record in caplog.records if record.getMessage() == "transaction retried"]
    assert [record for record in again if record.__dict__["ids"]["mysql_error"] == ER_LOCK_DEADLOCK] == []


def test_participants_are_locked_in_one_order(hospital: Hospital, guo: ExternalUser, han: ExternalUser) -> None:
    """Two calls that name the same people in opposite orders do not wait for each other."""
    conversation = create_conversation_of(hospital, guo, han)
    run_in_processes(shuffle, [(hospital.tenant_id, conversation, crowd) for crowd in CROWDS])
    with_all = [f"session:{number}x" for number in range(40)]
    membership.add_participants(hospital.tenant_id, conversation, with_all)
    rows = "SELECT COUNT(*) FROM participants WHERE tenant_id = %(tenant_id)s AND left_at IS NULL"
    assert mysql.autocommit.fetch_value(rows, tenant_id=hospital.tenant_id) == 42


CROWDS = [[f"session:{number}x" for number in order] for order in (range(40), range(39, -1, -1))] * 2


def shuffle(tenant_id: int, conversation: str, crowd: list[str]) -> None:
    for _ in range(5):
        membership.add_participants(tenant_id, conversation, crowd)
        membership.remove_participants(tenant_id, conversation, crowd)
