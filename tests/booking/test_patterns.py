"""Weekly patterns: save_schedule_pattern, schedule_patterns, end_schedule_pattern, and what they make."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier, Event
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.schedules import pattern_store, patterns, schedule_store
from tests.support.booking_client import (
    AFTERNOON,
    MORNING,
    STAFF_PATH,
    BookingDepartment,
    get_iso_date,
    get_weekday,
    list_rows,
)
from tests.support.client import Answer, get, post
from tests.support.faults.final_state import is_row_lock_waiting, wait_until


def save(department: BookingDepartment, **fields: Any) -> Answer:
    known = {
        "dept_id": department.dept_id,
        "doctor_id": department.hospital.chen.user_id,
        "weekday": get_weekday(2),
        **MORNING,
    }
    return post(f"{STAFF_PATH}/save_schedule_pattern", department.hospital.desk.token, **{**known, **fields})


def end(department: BookingDepartment, pattern_id: Any) -> Answer:
    return post(f"{STAFF_PATH}/end_schedule_pattern", department.hospital.desk.token, pattern_id=pattern_id)


def search(department: BookingDepartment, **query: Any) -> Answer:
    return get(f"{STAFF_PATH}/schedule_patterns", department.hospital.chen.token, **query)


def listed(department: BookingDepartment, **query: Any) -> list[dict[str, Any]]:
    return list(search(department, **query).data["list"])


def made(department: BookingDepartment) -> list[str]:
    found: list[date] = [row["day"] for row in list_rows("schedules", department.hospital)]
    return sorted(one.isoformat() for one in found)


def test_a_pattern_makes_its_coming_weeks_at_once(department: BookingDepartment) -> None:
    saved = save(department).data
    assert saved["made"] == 4
    assert made(department) == [get_iso_date(2), get_iso_date(9), get_iso_date(16), get_iso_date(23)]
    [one] = listed(department)
    assert one == {
        "pattern_id": saved["pattern_id"],
        "dept_id": str(department.dept_id),
        "dept_name": "呼吸内科",
        "weekday": get_weekday(2),
        **MORNING,
        "doctor_id": str(department.hospital.chen.user_id),
        "doctor_name": "陈医生",
    }


def test_patterns_are_listed_in_the_order_of_the_week_and_narrowed(department: BookingDepartment) -> None:
    zhou = department.hospital.zhou.user_id
    for fields in ({"weekday": 5}, {"weekday": 1, "doctor_id": zhou}, {"weekday": 1, "doctor_id": ""}, {"weekday": 3}):
        save(department, **fields)
    assert [(one["weekday"], one["doctor_name"]) for one in listed(department)] == [
        *((1, ""), (1, "周医生"), (3, "陈医生"), (5, "陈医生"))
    ]
    assert [one["doctor_name"] for one in listed(department, doctor_id=zhou)] == ["周医生"]
    assert (len(listed(department, dept_id=department.dept_id)), listed(department, dept_id=999_999_999)) == (4, [])
    page = search(department, page_num=2, page_size=3).data
    assert (page["total"], page["pages"], [one["weekday"] for one in page["list"]]) == (4, 2, [5])


@pytest.mark.parametrize("wrong", [{"dept_id": "x"}, {"doctor_id": 0}, {"page_num": 0}, {"page_size": "x"}])
def test_a_bad_field_of_the_list_is_named(department: BookingDepartment, wrong: dict[str, Any]) -> None:
    answer = search(department, **wrong)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, next(iter(wrong)))


def test_a_pattern_of_todays_weekday_begins_next_week(department: BookingDepartment) -> None:
    save(department, weekday=get_weekday(0))
    assert made(department) == [get_iso_date(7), get_iso_date(14), get_iso_date(21), get_iso_date(28)]


def test_making_it_again_adds_nothing_and_a_longer_reach_adds_the_rest(department: BookingDepartment) -> None:
    save(department)
    patterns.expand_all()
    assert len(made(department)) == 4
    assert department.save_rules(weeks_ahead=6).status == 200
    patterns.expand_all()
    assert made(department)[-1] == get_iso_date(37)
    assert len(made(department)) == 6


@pytest.mark.store
def test_many_who_make_it_at_once_make_it_once(department: BookingDepartment) -> None:
    pattern_id = int(save(department).data["pattern_id"])
    department.save_rules(weeks_ahead=20)
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda _: patterns.expand(department.hospital.tenant_id, pattern_id), range(6)))
    assert sum(counts) == 16
    assert len(set(made(department))) == len(made(department)) == 20


@pytest.mark.store
def test_who_ends_a_pattern_waits_for_who_is_making_its_weeks(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern_id = int(save(department).data["pattern_id"])
    department.save_rules(weeks_ahead=5)
    about, go, settled = Event(), Event(), pattern_store.list_days_to_skip

    def waits(*arguments: Any) -> set[date]:
        about.set()
        assert go.wait(10)
        return settled(*arguments)

    monkeypatch.setattr(pattern_store, "list_days_to_skip", waits)
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(patterns.expand, department.hospital.tenant_id, pattern_id)
        assert about.wait(10)
        ended = pool.submit(end, department, pattern_id)
        wait_until(is_row_lock_waiting)
        go.set()
        assert (making.result(), ended.result().status) == (1, 200)
    assert patterns.expand(department.hospital.tenant_id, pattern_id) == 0


@pytest.mark.store
def test_who_stops_a_half_day_waits_for_who_is_making_the_weeks(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = department.create_schedule(date=get_iso_date(2))
    pattern_id = int(save(department).data["pattern_id"])
    about, go, insert = Event(), Event(), schedule_store.insert_from_pattern

    def waits(*arguments: Any) -> bool:
        about.set()
        assert go.wait(10)
        return insert(*arguments)

    monkeypatch.setattr(schedule_store, "insert_from_pattern", waits)
    with ThreadPoolExecutor(2) as pool:
        making = pool.submit(patterns.expand, department.hospital.tenant_id, pattern_id)
        assert about.wait(10)
        stopped = pool.submit(department.stop_schedule, own)
        wait_until(is_row_lock_waiting)
        go.set()
        assert (making.result(), stopped.result().status) == (0, 200)
    assert patterns.expand(department.hospital.tenant_id, pattern_id) == 0


def test_a_half_day_that_has_a_schedule_is_left_alone(department: BookingDepartment) -> None:
    own = department.create_schedule(date=get_iso_date(9), slots=1)
    assert save(department).data["made"] == 3
    assert [row["slots"] for row in list_rows("schedules", department.hospital) if str(row["schedule_id"]) == own] == [
        1
    ]


def test_a_stopped_day_is_not_made_again(department: BookingDepartment) -> None:
    save(department)
    stop = "UPDATE schedules SET live = NULL, stopped_at = 1 WHERE tenant_id = %(id)s AND day = %(day)s"
    mysql.autocommit.execute(stop, id=department.hospital.tenant_id, day=get_iso_date(9))
    patterns.expand_all()
    assert made(department).count(get_iso_date(9)) == 1


def test_a_half_day_that_was_stopped_stays_so_whatever_had_made_it(department: BookingDepartment) -> None:
    first, own = save(department).data["pattern_id"], department.create_schedule(date=get_iso_date(30))
    end(department, first)
    assert save(department, slots=9).data["made"] == 0, "the weeks have what the first one made"
    department.save_rules(weeks_ahead=6)
    [_, second, *_] = list_rows("schedules", department.hospital)
    for schedule_id in (own, second["schedule_id"]):
        department.stop_schedule(schedule_id)
    patterns.expand_all()
    live = [row["day"].isoformat() for row in list_rows("schedules", department.hospital) if row["live"]]
    assert sorted(live) == [get_iso_date(2), get_iso_date(16), get_iso_date(23), get_iso_date(37)]


def test_a_new_pattern_takes_the_place_of_what_was_stopped_before(department: BookingDepartment) -> None:
    end(department, save(department).data["pattern_id"])
    for row in list_rows("schedules", department.hospital):
        department.stop_schedule(row["schedule_id"])
    assert save(department, slots=9).data["made"] == 4


def test_what_others_stopped_is_made(department: BookingDepartment, other_department: BookingDepartment) -> None:
    save(department)
    department.save_rules(weeks_ahead=5)
    for of, doctor_id in (
        (department, department.hospital.zhou.user_id),
        (department, ""),
        (other_department, other_department.hospital.chen.user_id),
    ):
        of.stop_schedule(of.create_schedule(date=get_iso_date(30), doctor_id=doctor_id))
    department.stop_schedule(department.create_schedule(**{**AFTERNOON, "date": get_iso_date(30)}))
    patterns.expand_all()
    live = [row["day"].isoformat() for row in list_rows("schedules", department.hospital) if row["live"]]
    assert get_iso_date(30) in live


def test_a_half_day_of_the_week_has_one_pattern_until_it_ends(department: BookingDepartment) -> None:
    pattern_id = save(department).data["pattern_id"]
    assert save(department).error == "该半天已有每周排班"
    for _ in range(2):
        assert end(department, pattern_id).data is None
    assert listed(department) == []
    patterns.expand_all()
    assert len(made(department)) == 4, "what it has made stays"
    assert save(department).data["made"] == 0


@pytest.mark.store
def test_eight_who_save_one_pattern_at_once_make_one(department: BookingDepartment) -> None:
    start = Barrier(8)

    def saved(_: int) -> int:
        start.wait()
        return save(department).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(saved, range(8))) == [200] + [409] * 7
    assert (len(listed(department)), len(made(department))) == (1, 4)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *(({"weekday": 0}, "weekday"), ({"weekday": 8}, "weekday"), ({"weekday": "周一"}, "weekday")),
        *(({"dept_id": "x"}, "dept_id"), ({"doctor_id": "x"}, "doctor_id"), ({"half": "PM"}, "begin")),
        *(({"slots": 0}, "slots"), ({"end": "07:00"}, "end"), ({"bookfee": -1}, "bookfee"), ({"type": 2}, "type")),
    ],
)
def test_a_bad_field_is_named_and_makes_nothing(
    department: BookingDepartment, fields: dict[str, Any], field: str
) -> None:
    answer = save(department, **fields)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, field)
    assert (listed(department), made(department)) == ([], [])


@pytest.mark.parametrize("pattern_id", ["x", "", None, 0])
def test_what_to_end_is_named(department: BookingDepartment, pattern_id: Any) -> None:
    answer = end(department, pattern_id)
    assert (answer.status, answer.error.partition("：")[0]) == (400, "pattern_id")


def test_what_is_anothers_does_not_exist(department: BookingDepartment, other_department: BookingDepartment) -> None:
    theirs = save(other_department).data["pattern_id"]
    assert end(department, theirs).status == end(department, 999_999_999).status == 404
    assert save(department, dept_id=other_department.dept_id).status == 404
    assert save(department, doctor_id=other_department.hospital.chen.user_id).status == 404
    assert listed(department) == []
    assert len(listed(other_department)) == 1
