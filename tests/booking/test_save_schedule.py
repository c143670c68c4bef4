"""Staff create, change and list schedules: save_schedule, schedules."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.schedules import schedule_store
from tests.support import booking_client
from tests.support.booking_client import AFTERNOON, STAFF_PATH, BookingDepartment, get_iso_date, list_rows
from tests.support.client import ApiResponse, get
from tests.support.factories import Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.threads import run_in_threads


def search(department: BookingDepartment, **query: Any) -> ApiResponse:
    parameters = {"from_date": get_iso_date(0), "to_date": get_iso_date(30), **query}
    return get(f"{STAFF_PATH}/schedules", department.hospital.chen.token, **parameters)


def test_front_desk_creates_a_schedule(department: BookingDepartment) -> None:
    schedule_id = department.create_schedule()
    assert search(department).data["list"] == [
        {
            "schedule_id": schedule_id,
            "dept_id": str(department.dept_id),
            "dept_name": "呼吸内科",
            "doctor_id": str(department.hospital.chen.user_id),
            "doctor_name": "陈医生",
            "date": get_iso_date(1),
            "half": "AM",
            "type": 1,
            "bookfee": 12.5,
            "area": "A 区",
            "begin": "08:00",
            "end": "12:00",
            "slots": 4,
            "desk_slots": 0,
            "same_day_slots": 0,
            "release_days": None,
            "release_time": "00:00",
            "booked": 0,
            "stopped": False,
        }
    ]


def test_general_clinic_has_no_doctor(department: BookingDepartment) -> None:
    department.create_schedule(doctor_id="", type=0, bookfee=0)
    [one] = search(department).data["list"]
    assert (one["doctor_id"], one["doctor_name"], one["bookfee"]) == ("", "", 0)


def test_half_day_has_one_schedule(department: BookingDepartment) -> None:
    for doctor_id in (department.hospital.chen.user_id, ""):
        assert department.save_schedule(doctor_id=doctor_id).status == 200
        response = department.save_schedule(doctor_id=doctor_id, slots=3)
        assert (response.status, response.code, response.error) == (409, 10005, "该半天已有排班")
    department.create_schedule(**AFTERNOON)
    department.create_schedule(date=get_iso_date(2))
    department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    assert search(department).data["total"] == 5


@pytest.mark.store
def test_concurrent_requests_for_a_half_day_create_one_schedule(department: BookingDepartment) -> None:
    responses = run_in_threads(partial(department.save_schedule, slots=slots) for slots in range(1, 9))
    assert sorted(one.status for one in responses) == [200] + [409] * 7
    assert len(list_rows("schedules", department.hospital)) == 1


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.store
@pytest.mark.parametrize("is_clinic", [False, True])
def test_double_click_creates_one_schedule(department: BookingDepartment, is_clinic: bool) -> None:
    doctor_id = "" if is_clinic else department.hospital.chen.user_id
    save = partial(department.save_schedule, doctor_id=doctor_id)
    responses = run_in_threads([save] * 4)
    assert len({one.data["schedule_id"] for one in responses}) == 1
    assert len(list_rows("schedules", department.hospital)) == 1
    assert department.save_schedule(department.hospital.admin, doctor_id=doctor_id).status == 409
    mysql.autocommit.execute(
        "UPDATE schedules SET created_at = created_at - 6000000 WHERE tenant_id = %(id)s",
        id=department.hospital.tenant_id,
    )
    assert save().status == 409


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize("areas", [("A 区", "a 区"), ("A 区", "A 区 "), ("１ 楼", "1 楼")])
def test_other_area_is_no_double_click(department: BookingDepartment, areas: tuple[str, str]) -> None:
    """The column's collation takes each pair for equal."""
    assert [department.save_schedule(area=area).status for area in areas] == [200, 409]


LONG_MORNING: dict[str, Any] = {"end": "14:00"}
EARLY_AFTERNOON: dict[str, Any] = {"half": "PM", "begin": "12:00", "end": "17:00"}


def test_overlapping_schedules_of_a_doctor_are_rejected(department: BookingDepartment) -> None:
    department.create_schedule(**LONG_MORNING)
    elsewhere = booking_client.create_department(department.hospital, "儿科")
    for place in (department, elsewhere):
        response = place.save_schedule(**EARLY_AFTERNOON)
        error = "该医生当天已有时间重叠的排班：08:00–14:00（呼吸内科）"
        assert (response.status, response.code, response.error) == (409, 10005, error)
    for fields in (
        {"begin": "14:00"},
        {"date": get_iso_date(2)},
        {"doctor_id": department.hospital.zhou.user_id},
        {"doctor_id": ""},
    ):
        assert elsewhere.save_schedule(**{**EARLY_AFTERNOON, **fields}).status == 200
    assert department.save_schedule(**LONG_MORNING, doctor_id="").status == 200, "several doctors see its patients"


def test_change_of_a_schedule_must_not_make_it_overlap(department: BookingDepartment) -> None:
    zhou = department.hospital.zhou.user_id
    morning = department.create_schedule()
    afternoon = department.create_schedule(**EARLY_AFTERNOON)
    others = department.create_schedule(**LONG_MORNING, doctor_id=zhou)
    error = "该医生当天已有时间重叠的排班：12:00–17:00（呼吸内科）"
    for schedule_id, fields in ((morning, LONG_MORNING), (others, {"end": "12:01"})):
        assert department.save_schedule(schedule_id=schedule_id, **fields).error == error
    assert department.save_schedule(schedule_id=afternoon, **EARLY_AFTERNOON, doctor_id=zhou).status == 409
    assert department.save_schedule(schedule_id=morning, begin="07:00").status == 200
    assert department.stop_schedule(afternoon).status == 200
    assert department.save_schedule(schedule_id=morning, **LONG_MORNING).status == 200
    assert department.save_schedule(schedule_id=morning, **EARLY_AFTERNOON).status == 200, "it does not overlap itself"


@pytest.mark.store
def test_concurrent_requests_save_no_overlapping_schedules(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, proceed, insert = Event(), Event(), schedule_store.insert

    def insert_after_pause(*arguments: Any) -> int:
        reached.set()
        assert proceed.wait(10)
        return insert(*arguments)

    monkeypatch.setattr(schedule_store, "insert", insert_after_pause)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: department.save_schedule(**LONG_MORNING))
        assert reached.wait(10)
        second = pool.submit(lambda: department.save_schedule(**EARLY_AFTERNOON))
        wait_until(is_row_lock_waiting)
        proceed.set()
        assert (first.result().status, second.result().status) == (200, 409)
    assert len(list_rows("schedules", department.hospital)) == 1


def test_schedule_is_changed(department: BookingDepartment) -> None:
    schedule_id = department.create_schedule()
    for _ in range(2):  # a repeated request
        changed = department.save_schedule(schedule_id=schedule_id, end="11:00", slots=6, bookfee=19.99)
        assert changed.data["schedule_id"] == schedule_id
    [one] = search(department).data["list"]
    assert (one["end"], one["slots"], one["bookfee"]) == ("11:00", 6, 19.99)


@pytest.mark.parametrize("change", ["dept_id", "doctor_id", "half", "begin", "end", "slots"])
def test_booked_terms_cannot_change_until_the_booking_is_cancelled(
    department: BookingDepartment, lin: Person, change: str
) -> None:
    others: dict[str, Any] = {"begin": "08:30", "end": "11:00", "slots": 9}
    others |= {
        "dept_id": booking_client.create_department(department.hospital, "儿科").dept_id,
        "doctor_id": department.hospital.zhou.user_id,
    }
    fields = AFTERNOON if change == "half" else {change: others[change]}
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    response = department.save_schedule(schedule_id=schedule_id, **fields)
    assert (response.status, response.error) == (409, "已有患者预约，只能修改类型、费用和候诊地点")
    assert search(department).data["list"][0]["booked"] == 1
    department.cancel(lin, book_id)
    assert department.save_schedule(schedule_id=schedule_id, **fields).status == 200
    assert search(department).data["list"][0]["booked"] == 0


def test_day_of_a_schedule_cannot_change(department: BookingDepartment) -> None:
    schedule_id = department.create_schedule()
    assert department.save_schedule(schedule_id=schedule_id, date=get_iso_date(2)).status == 409
    assert search(department).data["list"][0]["date"] == get_iso_date(1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"dept_id": None}, "dept_id"),
        ({"dept_id": "x"}, "dept_id"),
        ({"doctor_id": -1}, "doctor_id"),
        ({"schedule_id": "x"}, "schedule_id"),
        ({"date": None}, "date"),
        ({"date": "2026-02-30"}, "date"),
        ({"date": "01.02.2036"}, "date"),
        ({"date": get_iso_date(-1)}, "date"),
        ({"date": get_iso_date(400)}, "date"),
        ({"half": None}, "half"),
        ({"half": "NIGHT"}, "half"),
        ({"begin": None}, "begin"),
        ({"end": None}, "end"),
        ({"slots": None}, "slots"),
        ({"half": "PM"}, "begin"),
        ({"begin": "8:00"}, "begin"),
        ({"begin": "12:00", "end": "13:00"}, "begin"),
        ({"end": "24:00"}, "end"),
        ({"end": "08:00"}, "end"),
        ({"end": "14:01"}, "end"),
        ({"slots": 0}, "slots"),
        ({"slots": 501}, "slots"),
        ({"slots": 241}, "slots"),
        ({"slots": 1.5}, "slots"),
        ({"type": 2}, "type"),
        ({"bookfee": -1}, "bookfee"),
        ({"bookfee": 1.005}, "bookfee"),
        ({"bookfee": 10_001}, "bookfee"),
        ({"bookfee": "十二"}, "bookfee"),
        ({"bookfee": True}, "bookfee"),
        ({"area": "一" * 65}, "area"),
        ({"area": "A\n区"}, "area"),
    ],
)
def test_invalid_field_is_named_and_nothing_is_created(
    department: BookingDepartment, fields: dict[str, Any], field: str
) -> None:
    response = department.save_schedule(**fields)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")
    assert list_rows("schedules", department.hospital) == []


def test_objects_of_another_tenant_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    schedule_id = other_department.create_schedule()
    for fields in (
        {"dept_id": other_department.dept_id},
        {"doctor_id": other_department.hospital.chen.user_id},
        {"doctor_id": department.hospital.desk.user_id},
        {"schedule_id": schedule_id},
    ):
        response = department.save_schedule(**fields)
        assert (response.status, response.code) == (404, 10004)
    assert list_rows("schedules", department.hospital) == []
    assert search(department).data["list"] == []


def test_schedules_are_listed_by_day_and_filtered(department: BookingDepartment) -> None:
    department.create_schedule(date=get_iso_date(3))
    department.create_schedule(**AFTERNOON)
    department.create_schedule()
    department.create_schedule(doctor_id=department.hospital.zhou.user_id, date=get_iso_date(2))
    found = search(department).data["list"]
    assert [(one["date"], one["half"]) for one in found] == [
        *((get_iso_date(1), "AM"), (get_iso_date(1), "PM"), (get_iso_date(2), "AM"), (get_iso_date(3), "AM"))
    ]
    assert search(department, doctor_id=department.hospital.zhou.user_id).data["total"] == 1
    assert search(department, dept_id=department.dept_id, from_date=get_iso_date(2)).data["total"] == 2
    assert search(department, from_date=get_iso_date(2), to_date=get_iso_date(2)).data["total"] == 1
    page = search(department, page_num=2, page_size=3).data
    assert (page["pages"], len(page["list"])) == (2, 1)


@pytest.mark.store
def test_listing_a_week_does_not_read_earlier_years(department: BookingDepartment) -> None:
    department.create_schedule()
    copy_to_the_past = """
        INSERT INTO schedules (tenant_id, dept_id, doctor_id, day, half_day, type, fee, area, begins, ends, slots,
                               created_by, created_at)
        SELECT tenant_id, dept_id, doctor_id, day - INTERVAL %(days)s DAY, half_day, type, fee, area, begins, ends,
               slots, created_by, created_at
        FROM schedules WHERE tenant_id = %(tenant_id)s
    """
    week, tenant_id = (clock.today() + timedelta(1), clock.today() + timedelta(7)), department.hospital.tenant_id

    def count_row_reads(tx: Tx) -> int:
        rows = tx.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(row["Value"]) for row in rows)

    def list_week(tx: Tx) -> tuple[int, int]:
        before = count_row_reads(tx)
        total, _ = schedule_store.list_page(tx, tenant_id, None, None, week, (0, 10))
        return total, count_row_reads(tx) - before

    for exponent in range(11):
        mysql.autocommit.execute(copy_to_the_past, days=2**exponent, tenant_id=tenant_id)
    mysql.autocommit.fetch_all("ANALYZE TABLE schedules")
    total, rows_read = mysql.run_autocommit(list_week)
    assert total == 1
    assert rows_read < 200, "there are two thousand schedules"


@pytest.mark.parametrize(
    "wrong",
    [{"from_date": ""}, {"to_date": "x"}, {"dept_id": "x"}, {"doctor_id": -1}, {"page_num": -1}, {"page_size": "x"}],
)
def test_invalid_list_parameter_is_named(department: BookingDepartment, wrong: dict[str, Any]) -> None:
    response = search(department, **wrong)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, next(iter(wrong)))
