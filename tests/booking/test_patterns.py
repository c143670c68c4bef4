"""Weekly patterns: save_schedule_pattern, schedule_patterns, end_schedule_pattern, and what they make."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking import patterns
from tests.booking.ward import DESK, MORNING, Ward, day, rows, weekday
from tests.wire import Answer, get, post


def save(ward: Ward, **fields: Any) -> Answer:
    known = {"dept_id": ward.dept_id, "doctor_id": ward.hospital.chen.user_id, "weekday": weekday(2), **MORNING}
    return post(f"{DESK}/save_schedule_pattern", ward.hospital.desk.token, **{**known, **fields})


def end(ward: Ward, pattern_id: Any) -> Answer:
    return post(f"{DESK}/end_schedule_pattern", ward.hospital.desk.token, pattern_id=pattern_id)


def listed(ward: Ward) -> list[dict[str, Any]]:
    return list(get(f"{DESK}/schedule_patterns", ward.hospital.chen.token).data)


def made(ward: Ward) -> list[str]:
    found: list[date] = [row["day"] for row in rows("schedules", ward.hospital)]
    return sorted(one.isoformat() for one in found)


def test_a_pattern_makes_its_coming_weeks_at_once(ward: Ward) -> None:
    saved = save(ward).data
    assert saved["made"] == 4
    assert made(ward) == [day(2), day(9), day(16), day(23)]
    [one] = listed(ward)
    assert one == {
        "pattern_id": saved["pattern_id"],
        "dept_id": str(ward.dept_id),
        "weekday": weekday(2),
        **MORNING,
        "doctor_id": str(ward.hospital.chen.user_id),
    }


def test_making_it_again_adds_nothing_and_a_longer_reach_adds_the_rest(ward: Ward) -> None:
    save(ward)
    patterns.expand_all()
    assert len(made(ward)) == 4
    assert ward.rules(weeks_ahead=6).status == 200
    patterns.expand_all()
    assert made(ward)[-1] == day(37)
    assert len(made(ward)) == 6


@pytest.mark.store
def test_many_who_make_it_at_once_make_it_once(ward: Ward) -> None:
    pattern_id = int(save(ward).data["pattern_id"])
    ward.rules(weeks_ahead=20)
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda _: patterns.expand(ward.hospital.tenant_id, pattern_id), range(6)))
    assert sum(counts) == 16
    assert len(set(made(ward))) == len(made(ward)) == 20


def test_a_half_day_that_has_a_schedule_is_left_alone(ward: Ward) -> None:
    own = ward.schedule(date=day(9), slots=1)
    assert save(ward).data["made"] == 3
    assert [row["slots"] for row in rows("schedules", ward.hospital) if str(row["schedule_id"]) == own] == [1]


def test_a_stopped_day_is_not_made_again(ward: Ward) -> None:
    save(ward)
    stop = "UPDATE schedules SET live = NULL, stopped_at = 1 WHERE tenant_id = %(id)s AND day = %(day)s"
    mysql.autocommit(lambda tx: tx.run(stop, id=ward.hospital.tenant_id, day=day(9)))
    patterns.expand_all()
    assert made(ward).count(day(9)) == 1


def test_a_half_day_of_the_week_has_one_pattern_until_it_ends(ward: Ward) -> None:
    pattern_id = save(ward).data["pattern_id"]
    assert save(ward).error == "该半天已有每周排班"
    for _ in range(2):
        assert end(ward, pattern_id).data is None
    assert listed(ward) == []
    patterns.expand_all()
    assert len(made(ward)) == 4, "what it has made stays"
    assert save(ward).data["made"] == 0


@pytest.mark.parametrize("fields", [{"weekday": 0}, {"weekday": 8}, {"half": "PM"}, {"slots": 0}, {"end": "07:00"}])
def test_a_bad_field_makes_nothing(ward: Ward, fields: dict[str, Any]) -> None:
    assert save(ward, **fields).status == 400
    assert (listed(ward), made(ward)) == ([], [])


def test_what_is_anothers_does_not_exist(ward: Ward, other: Ward) -> None:
    theirs = save(other).data["pattern_id"]
    assert end(ward, theirs).status == 404
    assert save(ward, dept_id=other.dept_id).status == 404
    assert listed(ward) == []
    assert len(listed(other)) == 1
