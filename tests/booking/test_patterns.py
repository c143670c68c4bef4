"""Weekly patterns: save_schedule_pattern, schedule_patterns, end_schedule_pattern, and their expansion."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from threading import Event
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
from tests.support.client import ApiResponse, get, post
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.threads import run_in_threads


def save(department: BookingDepartment, **fields: Any) -> ApiResponse:
    known = {
        "dept_id": department.dept_id,
        "doctor_id": department.hospital.chen.user_id,
        "weekday": get_weekday(2),
        **MORNING,
    }
    return post(f"{STAFF_PATH}/save_schedule_pattern", department.hospital.desk.token, **{**known, **fields})


def end(department: BookingDepartment, pattern_id: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/end_schedule_pattern", department.hospital.desk.token, pattern_id=pattern_id)


def search(department: BookingDepartment, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/schedule_patterns", department.hospital.chen.token, **query)


def list_patterns(department: BookingDepartment, **query: Any) -> list[dict[str, Any]]:
    return list(search(department, **query).data["list"])


def list_days(department: BookingDepartment) -> list[str]:
    found: list[date] = [row["day"] for row in list_rows("schedules", department.hospital)]
    return sorted(one.isoformat() for one in found)


def test_new_pattern_creates_schedules_of_the_coming_weeks(department: BookingDepartment) -> None:
    saved = save(department).data
    assert saved["made"] == 4
    assert list_days(department) == [get_iso_date(2), get_iso_date(9), get_iso_date(16), get_iso_date(23)]
    [one] = list_patterns(department)
    assert one == {
        "pattern_id": saved["pattern_id"],
        "dept_id": str(department.dept_id),
        "dept_name": "呼吸内科",
        "weekday": get_weekday(2),
        **MORNING,
        "desk_slots": 0,
        "same_day_slots": 0,
        "release_days": None,
        "release_time": "00:00",
        "doctor_id": str(department.hospital.chen.user_id),
        "doctor_name": "陈医生",
    }


def test_patterns_are_listed_in_the_order_of_the_week_and_filtered(department: BookingDepartment) -> None:
    zhou = department.hospital.zhou.user_id
    for fields in ({"weekday": 5}, {"weekday": 1, "doctor_id": zhou}, {"weekday": 1, "doctor_id": ""}, {"weekday": 3}):
        save(department, **fields)
    assert [(one["weekday"], one["doctor_name"]) for one in list_patterns(department)] == [
        *((1, ""), (1, "周医生"), (3, "陈医生"), (5, "陈医生"))
    ]
    assert [one["doctor_name"] for one in list_patterns(department, doctor_id=zhou)] == ["周医生"]
    assert len(list_patterns(department, dept_id=department.dept_id)) == 4
    assert list_patterns(department, dept_id=999_999_999) == []
    page = search(department, page_num=2, page_size=3).data
    assert (page["total"], page["pages"], [one["weekday"] for one in page["list"]]) == (4, 2, [5])


@pytest.mark.parametrize("wrong", [{"dept_id": "x"}, {"doctor_id": -1}, {"page_num": -1}, {"page_size": "x"}])
def test_invalid_list_parameter_is_named(department: BookingDepartment, wrong: dict[str, Any]) -> None:
    response = search(department, **wrong)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, next(iter(wrong)))


def test_pattern_of_the_current_weekday_starts_next_week(department: BookingDepartment) -> None:
    save(department, weekday=get_weekday(0))
    assert list_days(department) == [get_iso_date(7), get_iso_date(14), get_iso_date(21), get_iso_date(28)]


def test_expanding_again_creates_missing_schedules_only(department: BookingDepartment) -> None:
    save(department)
    patterns.expand_all()
    assert len(list_days(department)) == 4
    assert department.save_rules(weeks_ahead=6).status == 200
    patterns.expand_all()
    assert list_days(department)[-1] == get_iso_date(37)
    assert len(list_days(department)) == 6


@pytest.mark.store
def test_concurrent_expansions_create_each_schedule_once(department: BookingDepartment) -> None:
    pattern_id = int(save(department).data["pattern_id"])
    department.save_rules(weeks_ahead=20)
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda _: patterns.expand(department.hospital.tenant_id, pattern_id), range(6)))
    assert sum(counts) == 16
    assert len(set(list_days(department))) == len(list_days(department)) == 20


@pytest.mark.store
def test_ending_a_pattern_waits_for_an_expansion_in_progress(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern_id = int(save(department).data["pattern_id"])
    department.save_rules(weeks_ahead=5)
    reached, proceed, list_days_to_skip = Event(), Event(), pattern_store.list_days_to_skip

    def list_after_pause(*arguments: Any) -> set[date]:
        reached.set()
        assert proceed.wait(10)
        return list_days_to_skip(*arguments)

    monkeypatch.setattr(pattern_store, "list_days_to_skip", list_after_pause)
    with ThreadPoolExecutor(2) as pool:
        expanding = pool.submit(patterns.expand, department.hospital.tenant_id, pattern_id)
        assert reached.wait(10)
        ended = pool.submit(end, department, pattern_id)
        wait_until(is_row_lock_waiting)
        proceed.set()
        assert (expanding.result(), ended.result().status) == (1, 200)
    assert patterns.expand(department.hospital.tenant_id, pattern_id) == 0


@pytest.mark.store
def test_stopping_a_schedule_waits_for_an_expansion_in_progress(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = department.create_schedule(date=get_iso_date(2))
    pattern_id = int(save(department).data["pattern_id"])
    reached, proceed, insert = Event(), Event(), schedule_store.insert_from_pattern

    def insert_after_pause(*arguments: Any) -> bool:
        reached.set()
        assert proceed.wait(10)
        return insert(*arguments)

    monkeypatch.setattr(schedule_store, "insert_from_pattern", insert_after_pause)
    with ThreadPoolExecutor(2) as pool:
        expanding = pool.submit(patterns.expand, department.hospital.tenant_id, pattern_id)
        assert reached.wait(10)
        stopped = pool.submit(department.stop_schedule, own)
        wait_until(is_row_lock_waiting)
        proceed.set()
        assert (expanding.result(), stopped.result().status) == (0, 200)
    assert patterns.expand(department.hospital.tenant_id, pattern_id) == 0


def test_half_day_that_has_a_schedule_is_not_changed(department: BookingDepartment) -> None:
    own = department.create_schedule(date=get_iso_date(9), slots=1)
    assert save(department).data["made"] == 3
    rows = list_rows("schedules", department.hospital)
    assert [row["slots"] for row in rows if str(row["schedule_id"]) == own] == [1]


def test_overlapping_patterns_of_a_doctor_are_rejected(department: BookingDepartment) -> None:
    noon = {"half": "PM", "begin": "12:00", "end": "15:00"}
    pattern_id = save(department, end="14:00").data["pattern_id"]
    response = save(department, **noon)
    error = "该医生已有时间重叠的每周排班：08:00–14:00（呼吸内科）"
    assert (response.status, response.error) == (409, error)
    for fields in ({"weekday": get_weekday(3)}, {"doctor_id": department.hospital.zhou.user_id}, {"doctor_id": ""}):
        assert save(department, **{**noon, **fields}).data["made"] == 4
    end(department, pattern_id)
    assert save(department, **noon).data["made"] == 0, "the ended pattern's schedules overlap"


def test_pattern_creates_no_schedule_that_overlaps_another_of_the_doctor(department: BookingDepartment) -> None:
    elsewhere = department.create_schedule(date=get_iso_date(9), half="PM", begin="13:00", end="15:00")
    department.create_schedule(date=get_iso_date(16), half="PM", begin="14:00", end="15:00")
    assert save(department, end="14:00").data["made"] == 3
    days = [row["day"].isoformat() for row in list_rows("schedules", department.hospital) if row["half_day"] == "AM"]
    assert days == [get_iso_date(2), get_iso_date(16), get_iso_date(23)]
    department.stop_schedule(elsewhere)
    assert patterns.expand_all() == 1


@pytest.mark.store
def test_pattern_and_staff_create_no_overlapping_schedules_at_the_same_time(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern_id = int(save(department, end="14:00").data["pattern_id"])
    department.save_rules(weeks_ahead=5)
    reached, proceed, insert = Event(), Event(), schedule_store.insert_from_pattern

    def insert_after_pause(*arguments: Any) -> bool:
        reached.set()
        assert proceed.wait(10)
        return insert(*arguments)

    monkeypatch.setattr(schedule_store, "insert_from_pattern", insert_after_pause)
    with ThreadPoolExecutor(2) as pool:
        expanding = pool.submit(patterns.expand, department.hospital.tenant_id, pattern_id)
        assert reached.wait(10)
        saved = pool.submit(department.save_schedule, date=get_iso_date(30), half="PM", begin="12:00", end="15:00")
        wait_until(is_row_lock_waiting)
        proceed.set()
        assert (expanding.result(), saved.result().status) == (1, 409)


def test_stopped_day_is_not_created_again(department: BookingDepartment) -> None:
    save(department)
    stop = "UPDATE schedules SET live = NULL, stopped_at = 1 WHERE tenant_id = %(id)s AND day = %(day)s"
    mysql.autocommit.execute(stop, id=department.hospital.tenant_id, day=get_iso_date(9))
    patterns.expand_all()
    assert list_days(department).count(get_iso_date(9)) == 1


def test_stopped_half_day_stays_stopped_whatever_created_it(department: BookingDepartment) -> None:
    first, own = save(department).data["pattern_id"], department.create_schedule(date=get_iso_date(30))
    end(department, first)
    assert save(department, slots=9).data["made"] == 0, "the first pattern has created these schedules"
    department.save_rules(weeks_ahead=6)
    [_, second, *_] = list_rows("schedules", department.hospital)
    for schedule_id in (own, second["schedule_id"]):
        department.stop_schedule(schedule_id)
    patterns.expand_all()
    live = [row["day"].isoformat() for row in list_rows("schedules", department.hospital) if row["live"]]
    assert sorted(live) == [get_iso_date(2), get_iso_date(16), get_iso_date(23), get_iso_date(37)]


def test_new_pattern_replaces_schedules_stopped_before(department: BookingDepartment) -> None:
    end(department, save(department).data["pattern_id"])
    for row in list_rows("schedules", department.hospital):
        department.stop_schedule(row["schedule_id"])
    assert save(department, slots=9).data["made"] == 4


def test_stopped_schedules_of_others_do_not_count(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    save(department)
    department.save_rules(weeks_ahead=5)
    for owner, doctor_id in (
        (department, department.hospital.zhou.user_id),
        (department, ""),
        (other_department, other_department.hospital.chen.user_id),
    ):
        owner.stop_schedule(owner.create_schedule(date=get_iso_date(30), doctor_id=doctor_id))
    department.stop_schedule(department.create_schedule(**{**AFTERNOON, "date": get_iso_date(30)}))
    patterns.expand_all()
    live = [row["day"].isoformat() for row in list_rows("schedules", department.hospital) if row["live"]]
    assert get_iso_date(30) in live


def test_half_day_of_the_week_has_one_pattern(department: BookingDepartment) -> None:
    pattern_id = save(department).data["pattern_id"]
    assert save(department, slots=9).error == "该半天已有每周排班"
    for _ in range(2):
        assert end(department, pattern_id).data is None
    assert list_patterns(department) == []
    patterns.expand_all()
    assert len(list_days(department)) == 4, "its schedules stay"
    assert save(department).data["made"] == 0


@pytest.mark.store
def test_concurrent_requests_create_one_pattern(department: BookingDepartment) -> None:
    responses = run_in_threads(partial(save, department, slots=slots) for slots in range(1, 9))
    assert sorted(one.status for one in responses) == [200] + [409] * 7
    assert (len(list_patterns(department)), len(list_days(department))) == (1, 4)


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.store
def test_double_click_creates_one_pattern(department: BookingDepartment) -> None:
    responses = run_in_threads([lambda: save(department)] * 4)
    assert len({one.data["pattern_id"] for one in responses}) == 1
    assert [one.data["made"] for one in responses] == [4] * 4
    assert (len(list_patterns(department)), len(list_days(department))) == (1, 4)
    mysql.autocommit.execute(
        "UPDATE schedule_patterns SET created_at = created_at - 6000000 WHERE tenant_id = %(id)s",
        id=department.hospital.tenant_id,
    )
    assert save(department).status == 409


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *(({"weekday": 0}, "weekday"), ({"weekday": 8}, "weekday"), ({"weekday": "周一"}, "weekday")),
        *(({"dept_id": "x"}, "dept_id"), ({"doctor_id": "x"}, "doctor_id"), ({"half": "PM"}, "begin")),
        *(({"slots": 0}, "slots"), ({"end": "07:00"}, "end"), ({"bookfee": -1}, "bookfee"), ({"type": 2}, "type")),
    ],
)
def test_invalid_field_is_named_and_nothing_is_created(
    department: BookingDepartment, fields: dict[str, Any], field: str
) -> None:
    response = save(department, **fields)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, field)
    assert (list_patterns(department), list_days(department)) == ([], [])


@pytest.mark.parametrize("pattern_id", ["x", "", None, 0])
def test_invalid_pattern_id_is_named(department: BookingDepartment, pattern_id: Any) -> None:
    response = end(department, pattern_id)
    assert (response.status, response.error.partition("：")[0]) == (400, "pattern_id")


def test_objects_of_another_tenant_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    other_pattern = save(other_department).data["pattern_id"]
    assert end(department, other_pattern).status == end(department, 999_999_999).status == 404
    assert save(department, dept_id=other_department.dept_id).status == 404
    assert save(department, doctor_id=other_department.hospital.chen.user_id).status == 404
    assert list_patterns(department) == []
    assert len(list_patterns(other_department)) == 1
