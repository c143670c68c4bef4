"""booking_rules and save_booking_rules."""

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
    "cancel_workdays": 0,
    "cancel_hour": 16,
    "daily_limit": 5,
    "pay_minutes": 0,
    "missed_limit": 3,
    "weeks_ahead": 4,
    "half_day_rule": True,
    "gap_minutes": 60,
    "hold_hours": 24,
    "waitlist_limit": 3,
    "offer_minutes": 30,
    "offer_stop_minutes": 120,
    "quiet_from": 22,
    "quiet_to": 7,
    "reschedule_limit": 3,
    "checkin_minutes": 60,
    "segment_minutes": 30,
}


def get_rules(department: BookingDepartment) -> dict[str, Any]:
    return dict(get(f"{STAFF_PATH}/booking_rules", department.hospital.chen.token).data)


def test_rules_start_with_defaults_and_change_individually(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    assert get_rules(department) == DEFAULTS
    for _ in range(2):
        assert department.save_rules(pay_minutes=30, missed_limit="0").data is None
    assert get_rules(department) == {**DEFAULTS, "pay_minutes": 30, "missed_limit": 0}
    assert get_rules(other_department) == DEFAULTS


@pytest.mark.store
@pytest.mark.parametrize("before", [{}, {"weeks_ahead": 2}])
def test_concurrent_changes_of_different_rules_are_both_saved(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch, before: dict[str, int]
) -> None:
    if before:
        department.save_rules(**before)
    reached, proceed, update = Event(), Event(), rule_store.update

    def update_after_pause(*arguments: Any) -> None:
        if not reached.is_set():
            reached.set()
            assert proceed.wait(10)
        update(*arguments)

    monkeypatch.setattr(rule_store, "update", update_after_pause)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(department.save_rules, pay_minutes=30)
        assert reached.wait(10)
        second = pool.submit(department.save_rules, daily_limit=9)
        wait_until(is_row_lock_waiting)
        proceed.set()
        assert (first.result().status, second.result().status) == (200, 200)
    assert get_rules(department) == {**DEFAULTS, **before, "pay_minutes": 30, "daily_limit": 9}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [-1, 100_000, "x", 1.5, True])
def test_invalid_rule_changes_nothing(department: BookingDepartment, name: str, value: Any) -> None:
    if name == "half_day_rule" and value is True:
        pytest.skip("the only boolean rule")
    response = department.save_rules(**{"days_ahead": 3, name: value})
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, name)
    assert get_rules(department) == DEFAULTS
