"""A hospital's rules of booking: booking_rules, save_booking_rules."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.booking.ward import DESK, Ward
from tests.wire import get

DEFAULTS = {
    "days_ahead": 14,
    "cancel_minutes": 0,
    "daily_limit": 5,
    "pay_minutes": 0,
    "missed_limit": 3,
    "weeks_ahead": 4,
}


def shown(ward: Ward) -> dict[str, Any]:
    return dict(get(f"{DESK}/booking_rules", ward.hospital.chen.token).data)


def test_a_hospital_begins_with_the_defaults_and_changes_what_it_names(ward: Ward, other: Ward) -> None:
    assert shown(ward) == DEFAULTS
    for _ in range(2):
        assert ward.rules(pay_minutes=30, missed_limit="0").data is None
    assert shown(ward) == {**DEFAULTS, "pay_minutes": 30, "missed_limit": 0}
    assert shown(other) == DEFAULTS


@pytest.mark.store
def test_two_who_change_different_rules_at_once_both_do(ward: Ward) -> None:
    changes = [{"pay_minutes": 30}, {"daily_limit": 9}, {"days_ahead": 3}, {"weeks_ahead": 2}]
    with ThreadPoolExecutor(4) as pool:
        assert [one.status for one in pool.map(lambda change: ward.rules(**change), changes)] == [200] * 4
    assert shown(ward) == {**DEFAULTS, "pay_minutes": 30, "daily_limit": 9, "days_ahead": 3, "weeks_ahead": 2}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [-1, 100_000, "x", 1.5, None, True])
def test_a_bad_rule_changes_nothing(ward: Ward, name: str, value: Any) -> None:
    answer = ward.rules(**{"days_ahead": 3, name: value})
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, name)
    assert shown(ward) == DEFAULTS
