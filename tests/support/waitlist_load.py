"""Processes that give slots to those who wait, and die meanwhile."""

import os
from collections import Counter
from itertools import count
from typing import Any

import pymysql

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.booking.waitlist import offering
from chalicelib.outbox import outbox
from tests.support.processes import get_fork_context


def offer_in_dying_processes(tenant_id: int, schedule_id: str, commits: list[tuple[int, bool]]) -> int:
    """Let processes give slots at the same time, each of which dies at one of its commits; return how many did.

    Args:
        commits: for each process, the number of the commit, and whether it dies before that instead of after it.
    """
    context = get_fork_context()
    processes = [context.Process(target=offer_and_die, args=(tenant_id, int(schedule_id), *one)) for one in commits]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    return sum(one.exitcode == 1 for one in processes)


def offer_and_die(tenant_id: int, schedule_id: int, commits: int, dies_before: bool) -> None:
    """Give slots until this process has committed so often, and end it then and there."""
    numbers, commit = count(1), pymysql.connections.Connection.commit

    def commit_and_die(connection: Any) -> None:
        number = next(numbers)
        if number == commits and dies_before:
            os._exit(1)
        commit(connection)
        if number == commits:
            os._exit(1)

    pymysql.connections.Connection.commit = commit_and_die  # type: ignore[assignment, method-assign]
    outbox.wake_worker = lambda *_: None
    offering.offer_free_slots(tenant_id, {"schedule_id": schedule_id})


def find_inconsistencies(schedule_id: str, slots: int) -> list[str]:
    """Return what is inconsistent in the rows of a schedule whose slots were all given to those who waited."""
    params = {"id": schedule_id}
    entries = mysql.autocommit.fetch_all(
        "SELECT * FROM waitlist_entries WHERE schedule_id = %(id)s ORDER BY entry_id", **params
    )
    bookings = mysql.autocommit.fetch_all("SELECT * FROM bookings WHERE schedule_id = %(id)s", **params)
    live = [one for one in bookings if one["live"]]
    given = [one for one in bookings if one["origin"] == "waitlist"]
    served = [one for one in entries if one["state"] != "waiting"]
    problems = {
        f"{len(live)} slots are booked": len(live) != slots,
        "a slot has two bookings": len({one["serial_no"] for one in live}) != len(live),
        "somebody who did not wait has a slot": any(one["origin"] != "waitlist" for one in live),
        "the order was not kept": served != entries[: len(served)],
        "a person was given two slots": max(Counter(one["user_id"] for one in given).values()) > 1,
        "bookings and entries differ": (
            {(one["book_id"], one["user_id"]) for one in given} != {(one["book_id"], one["user_id"]) for one in served}
        ),
        "an entry has the wrong state": any(not _agrees(one, entries) for one in given),
    }
    return [name for name, is_wrong in problems.items() if is_wrong]


def _agrees(booking: Row, entries: list[Row]) -> bool:
    [entry] = [one for one in entries if one["book_id"] == booking["book_id"]]
    expected = {"lapsed": "lapsed", "patient": "declined"}.get(booking["cancelled_for"])
    if expected is None:
        expected = "offered" if booking["confirm_by"] else "accepted"
    return bool(entry["state"] == expected and bool(entry["live"]) == (expected == "offered") and not entry["waiting"])
