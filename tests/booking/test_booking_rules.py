"""A hospital's rules of booking: booking_rules, save_booking_rules."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from chalicelib.booking.schedules import rule_store
from tests.support.booking_client import STAFF_PATH, BookingDepartment
from tests.support.client import get
from tests.support.faults.final_state import is_row_lock_waiting, wait_until

DEFAULTS = {
    "days_ahead": 14,
    "cancel_minutes": 0,
    "daily_limit": 5,
    "pay_minutes": 0,
    "missed_limit": 3,
    "weeks_ahead": 4,
}


def shown(department: BookingDepartment) -> dict[str, Any]:
    return dict(get(f"{STAFF_PATH}/booking_rules", department.hospital.chen.token).data)


def test_a_hospital_begins_with_the_defaults_and_changes_what_it_names(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    assert shown(department) == DEFAULTS
    for _ in range(2):
        assert department.save_rules(pay_minutes=30, missed_limit="0").data is None
    assert shown(department) == {**DEFAULTS, "pay_minutes": 30, "missed_limit": 0}
    assert shown(other_department) == DEFAULTS


@pytest.mark.store
@pytest.mark.parametrize("before", [{}, {"weeks_ahead": 2}])
def test_two_who_change_different_rules_at_once_both_do(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch, before: dict[str, int]
) -> None:
    if before:
        department.save_rules(**before)
    about, go, save = Event(), Event(), rule_store.update

    def waits(*arguments: Any) -> None:
        if not about.is_set():
            about.set()
            assert go.wait(10)
        save(*arguments)

    monkeypatch.setattr(rule_store, "update", waits)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(department.save_rules, pay_minutes=30)
        assert about.wait(10)
        second = pool.submit(department.save_rules, daily_limit=9)
        wait_until(is_row_lock_waiting)
        go.set()
        assert (first.result().status, second.result().status) == (200, 200)
    assert shown(department) == {**DEFAULTS, **before, "pay_minutes": 30, "daily_limit": 9}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [-1, 100_000, "x", 1.5, None, True])
def test_a_bad_rule_changes_nothing(department: BookingDepartment, name: str, value: Any) -> None:
    answer = department.save_rules(**{"days_ahead": 3, name: value})
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, name)
    assert shown(department) == DEFAULTS
