"""When patients can book which slots: the release time, and the shares of the day itself and of the front desk."""

from typing import Any

import pytest

from chalicelib.booking.schedules import patterns
from tests.support.booking_client import (
    BOOKING_PATH,
    STAFF_PATH,
    BookingDepartment,
    freeze_clock,
    get_iso_date,
    list_rows,
)
from tests.support.client import get, post
from tests.support.factories import Person

# Of four slots, 1 is for any, 2 and 3 are of the day itself, 4 of the front desk.
SHARES: dict[str, Any] = {"desk_slots": 1, "same_day_slots": 2}


def get_offer(department: BookingDepartment, day: str) -> dict[str, Any]:
    query = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id, "date": day}
    return dict(department.get_public("schedule", **query).data["scheduleAM"])


def test_schedule_can_be_booked_from_its_release_on(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = get_iso_date(8)
    schedule_id = department.create_schedule(date=day, release_days=7, release_time="08:30")
    released = f"{get_iso_date(1)} 08:30"
    assert (get_offer(department, day)["leftCount"], get_offer(department, day)["releaseTime"]) == (0, f"{released}:00")
    slot: dict[str, Any] = {"scheduleId": schedule_id, "serialNo": 1}
    for response in (
        department.submit(lin, schedule_id),
        post(f"{BOOKING_PATH}/book/presubmit", lin.token, **slot),
        department.reschedule(lin, department.book_slot(lin, department.create_schedule()), schedule_id),
    ):
        assert (response.status, response.error) == (409, f"该号源将于 {released} 放号")
    assert department.list_free_serial_nos(schedule_id) == []
    freeze_clock(monkeypatch, "08:29", ahead=1)
    assert department.submit(lin, schedule_id).status == 409
    freeze_clock(monkeypatch, "08:30")
    assert (get_offer(department, day)["leftCount"], get_offer(department, day)["releaseTime"]) == (4, "")
    department.book_slot(lin, schedule_id)


def test_shares_of_slots(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule(**SHARES)
    assert department.list_free_serial_nos(schedule_id) == [1]
    assert department.submit(lin, schedule_id, 2).error == "2号为当日号，就诊当天才能预约，还可预约：1号 08:00"
    assert department.submit(lin, schedule_id, 4).error == "4号由医院窗口预约，还可预约：1号 08:00"
    department.book_slot(lin, schedule_id, 1)
    assert department.submit(wang, schedule_id, 3).error == "3号为当日号，就诊当天才能预约，该半天已约满，可加入候补"
    freeze_clock(monkeypatch, "00:00", ahead=1)
    assert department.list_free_serial_nos(schedule_id) == [2, 3]
    assert department.submit(wang, schedule_id, 4).error == "4号由医院窗口预约，还可预约：2号 09:00、3号 10:00"
    department.book_slot(wang, schedule_id, 3)


def test_patterns_pass_on_release_and_shares(department: BookingDepartment) -> None:
    fields: dict[str, Any] = {
        "dept_id": department.dept_id,
        "doctor_id": department.hospital.chen.user_id,
        "weekday": 1,
        "half": "AM",
    }
    fields |= {"begin": "08:00", "end": "12:00", "slots": 4, "release_days": 0, "release_time": "07:00", **SHARES}
    token = department.hospital.desk.token
    first = post(f"{STAFF_PATH}/save_schedule_pattern", token, **fields).data
    assert post(f"{STAFF_PATH}/save_schedule_pattern", token, **fields).data == first, "a double click"
    patterns.expand(department.hospital.tenant_id, int(first["pattern_id"]))
    [pattern] = get(f"{STAFF_PATH}/schedule_patterns", token).data["list"]
    terms = {"release_days": 0, "release_time": "07:00", **SHARES}
    assert {name: pattern[name] for name in terms} == terms
    rows = list_rows("schedules", department.hospital)
    assert {(row["release_days"], row["desk_slots"], row["same_day_slots"]) for row in rows} == {(0, 1, 2)}


@pytest.mark.parametrize("release_days", [None, "", 0, 14])
def test_schedule_can_be_saved_as_it_is_listed(department: BookingDepartment, release_days: Any) -> None:
    department.create_schedule(**SHARES, release_days=release_days, release_time="06:30")
    token = department.hospital.desk.token
    query: dict[str, Any] = {"from_date": get_iso_date(0), "to_date": get_iso_date(9)}
    [listed] = get(f"{STAFF_PATH}/schedules", token, **query).data["list"]
    assert listed["release_days"] == (None if release_days in (None, "") else release_days)
    assert post(f"{STAFF_PATH}/save_schedule", token, **listed).status == 200
    assert get(f"{STAFF_PATH}/schedules", token, **query).data["list"] == [listed]


def test_shares_can_be_changed_while_there_are_bookings(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id, 4)
    assert department.save_schedule(schedule_id=schedule_id, **SHARES).status == 200
    assert department.list_free_serial_nos(schedule_id) == [1]
    assert department.get_status(lin, book_id) == 0


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"desk_slots": 3, "same_day_slots": 2}, "desk_slots"),
        *(({name: value}, name) for name in ("desk_slots", "same_day_slots") for value in (-1, 501, "x", 1.5, True)),
        *(({"release_days": value}, "release_days") for value in (-1, 181, "x", 1.5, True)),
        *(({"release_time": value}, "release_time") for value in ("24:00", "8:00", "x", 5)),
    ],
)
def test_invalid_terms_are_named(department: BookingDepartment, fields: dict[str, Any], name: str) -> None:
    response = department.save_schedule(**fields)
    assert (response.status, response.error.partition("：")[0]) == (400, name)
    assert list_rows("schedules", department.hospital) == []
