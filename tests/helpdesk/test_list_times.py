"""Periods of the help desk's lists that are given as dates."""

from datetime import timedelta

from chalicelib import clock
from chalicelib.helpdesk.list_models import _parse_instant


def test_date_is_its_first_instant_and_a_time_is_exact() -> None:
    today = clock.today()
    start = clock.to_instant(today)
    assert _parse_instant(today.isoformat()) == start
    exact = clock.to_instant(today, timedelta(hours=1, minutes=2, seconds=3))
    assert _parse_instant(f"{today.isoformat()} 01:02:03") == exact
