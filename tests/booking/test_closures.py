"""A doctor's leave and closed days: schedules are stopped, patterns create none, what is affected is counted first."""

import json
from typing import Any

import pytest

from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.schedules import patterns
from chalicelib.outbox import outbox
from tests.support.booking_client import (
    AFTERNOON,
    MORNING,
    STAFF_PATH,
    BookingDepartment,
    freeze_clock,
    get_iso_date,
    get_weekday,
    list_rows,
    mark_paid,
)
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def build_days(first: int, last: int, doctor_id: Any = "") -> dict[str, Any]:
    return {"doctor_id": doctor_id, "from_date": get_iso_date(first), "to_date": get_iso_date(last)}


def save(person: Person, first: int, last: int, doctor_id: Any = "", **fields: Any) -> ApiResponse:
    return post(
        f"{STAFF_PATH}/save_closure", person.token, **{**build_days(first, last, doctor_id), "reason": "休假", **fields}
    )


def run_stop_jobs(department: BookingDepartment) -> None:
    for row in list_rows("outbox", department.hospital):
        if row["job"] == "cancel_stopped_schedule":
            stopped_schedules.cancel_bookings(department.hospital.tenant_id, json.loads(row["payload"]))


def save_pattern(department: BookingDepartment, ahead: int, **fields: Any) -> int:
    chen = department.hospital.chen.user_id
    body = {"dept_id": department.dept_id, "doctor_id": chen, "weekday": get_weekday(ahead), **MORNING, **fields}
    response = post(f"{STAFF_PATH}/save_schedule_pattern", department.hospital.desk.token, None, **body)
    return int(response.data["pattern_id"])


def list_live_days(department: BookingDepartment) -> list[str]:
    return sorted(str(one["day"]) for one in list_rows("schedules", department.hospital) if one["live"])


def test_leave_stops_the_doctors_schedules_of_these_days(department: BookingDepartment, lin: Person) -> None:
    hospital = department.hospital
    chen, zhou = hospital.chen.user_id, hospital.zhou.user_id
    affected = department.create_schedule(date=get_iso_date(2))
    department.create_schedule(date=get_iso_date(3), **AFTERNOON)
    department.create_schedule(date=get_iso_date(5))
    department.create_schedule(date=get_iso_date(2), doctor_id=zhou)
    book_id = department.book_slot(lin, affected)
    mark_paid(book_id)
    shown = get(f"{STAFF_PATH}/closure_preview", hospital.desk.token, **build_days(2, 4, chen)).data
    assert shown == {"schedules": 2, "bookings": 1, "paid": 1, "paid_fee": 12.5, "no_account": 0}
    assert len(list_live_days(department)) == 4, "a preview changes nothing"
    first = save(hospital.desk, 2, 4, chen).data
    second = save(hospital.desk, 2, 4, chen).data
    assert (first["stopped"], second) == (2, {"closure_id": first["closure_id"], "stopped": 0})
    assert list_live_days(department) == [get_iso_date(2), get_iso_date(5)]
    run_stop_jobs(department)
    moved = department.get_booking(lin, book_id).data
    assert (moved["treaTime"], moved["bookStatus"]) == (f"{get_iso_date(5)} 08:00:00", BookingStatus.BOOKED)
    assert department.get_alternatives(lin, book_id).data["reason"] == "休假"
    [listed] = get(f"{STAFF_PATH}/closures", hospital.desk.token).data
    assert listed == {
        "closure_id": first["closure_id"],
        **build_days(2, 4, str(chen)),
        "doctor_name": "陈医生",
        "reason": "休假",
    }


def test_patterns_create_no_schedules_on_closed_days(department: BookingDepartment) -> None:
    hospital = department.hospital
    department.save_rules(weeks_ahead=2)
    closed = save(hospital.admin, 3, 3).data["closure_id"]
    save(hospital.desk, 11, 11, hospital.chen.user_id)
    on_closed, on_leave = save_pattern(department, 3), save_pattern(department, 11)
    clinic = save_pattern(department, 11, doctor_id="", **AFTERNOON)
    assert list_live_days(department) == sorted(get_iso_date(one) for one in (10, 4, 4, 11))
    for _ in range(2):
        assert post(f"{STAFF_PATH}/end_closure", hospital.admin.token, closure_id=closed).data is None
    for one in (on_closed, on_leave, clinic):
        patterns.expand(hospital.tenant_id, one)
    assert list_live_days(department) == sorted(get_iso_date(one) for one in (3, 10, 4, 4, 11))
    assert department.save_schedule(date=get_iso_date(11)).status == 200, "staff may open a closed day"


def test_the_longest_reason_is_stored(department: BookingDepartment) -> None:
    hospital = department.hospital
    department.create_schedule(date=get_iso_date(2))
    assert save(hospital.desk, 2, 2, hospital.chen.user_id, reason="休" * 255).data["stopped"] == 1
    assert {one["stop_reason"] for one in list_rows("schedules", hospital)} == {"休" * 255}


def test_only_an_admin_closes_the_hospital(department: BookingDepartment) -> None:
    hospital = department.hospital
    department.create_schedule(date=get_iso_date(2))
    department.create_schedule(date=get_iso_date(2), doctor_id="", **AFTERNOON)
    rejected = save(hospital.desk, 2, 2)
    assert (rejected.status, rejected.error) == (403, "全院停诊须由管理员确认")
    saved = save(hospital.admin, 2, 2).data
    assert saved["stopped"] == 2
    end = {"closure_id": saved["closure_id"]}
    assert post(f"{STAFF_PATH}/end_closure", hospital.desk.token, **end).status == 403
    for person in (hospital.lin, hospital.chen):
        assert save(person, 2, 2, hospital.chen.user_id).status == 403


def test_what_is_rejected(department: BookingDepartment, other_department: BookingDepartment) -> None:
    desk, chen = department.hospital.desk, department.hospital.chen.user_id
    cases: list[tuple[dict[str, Any], int, str]] = [
        (build_days(-1, 2, chen), 400, "from_date"),
        (build_days(367, 367, chen), 400, "from_date"),
        (build_days(3, 2, chen), 400, "to_date"),
        (build_days(1, 185, chen), 400, "to_date"),
        ({**build_days(1, 1, chen), "to_date": "x"}, 400, "to_date"),
        ({**build_days(1, 1, chen), "reason": ""}, 400, "reason"),
        (build_days(1, 1, other_department.hospital.chen.user_id), 404, "医生不存在"),
    ]
    for body, status, text in cases:
        response = post(f"{STAFF_PATH}/save_closure", desk.token, **{"reason": "休假", **body})
        assert (response.status, response.error.partition("：")[0]) == (status, text)
    others = save(other_department.hospital.desk, 1, 1, other_department.hospital.chen.user_id).data
    for closure_id in (others["closure_id"], 999_999_999):
        assert post(f"{STAFF_PATH}/end_closure", desk.token, closure_id=closure_id).error == "停诊安排不存在"
    assert len(get(f"{STAFF_PATH}/closures", other_department.hospital.desk.token).data) == 1


def test_a_pattern_that_is_expanded_meanwhile_creates_nothing(department: BookingDepartment) -> None:
    """Whether the closure or the pattern is first, no schedule is open on a closed day."""
    hospital, chen = department.hospital, department.hospital.chen.user_id
    pattern_ids = [save_pattern(department, 4), save_pattern(department, 5)]
    department.save_rules(weeks_ahead=8)
    work: list[Any] = [lambda one=one: patterns.expand(hospital.tenant_id, one) for one in pattern_ids * 3]
    run_in_threads([*work, lambda: save(hospital.desk, 1, 100, chen), lambda: save(hospital.admin, 1, 100)])
    assert list_live_days(department) == []
    run_in_threads(work)
    assert list_live_days(department) == []


@pytest.mark.parametrize(("time", "stopped"), [("11:59", 2), ("12:00", 1), ("16:59", 1), ("17:00", 0)])
def test_closing_today_leaves_half_days_that_are_over(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch, time: str, stopped: int
) -> None:
    freeze_clock(monkeypatch, "07:00")
    hospital = department.hospital
    morning = department.create_schedule(date=get_iso_date(0))
    afternoon = department.create_schedule(date=get_iso_date(0), **AFTERNOON)
    missed, coming = department.book_slot(lin, morning), department.book_slot(wang, afternoon)
    for book_id in (missed, coming):
        mark_paid(book_id)
    freeze_clock(monkeypatch, time)
    shown = get(f"{STAFF_PATH}/closure_preview", hospital.admin.token, **build_days(0, 0)).data
    assert (shown["schedules"], shown["bookings"]) == (stopped, stopped)
    assert save(hospital.admin, 0, 0).data["stopped"] == stopped
    run_stop_jobs(department)
    expected = [BookingStatus.CANCELLED if is_coming else BookingStatus.BOOKED for is_coming in (stopped > 1, stopped)]
    assert [department.get_status(lin, missed), department.get_status(wang, coming)] == expected
    assert len(list_rows("refunds_due", hospital)) == stopped
