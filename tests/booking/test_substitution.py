"""substitute_doctor (替诊): bookings change over to another doctor; patients are notified once and may decline."""

import json
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.closures import alternatives, stopped_schedules
from chalicelib.booking.jobs import site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support.booking_client import (
    AFTERNOON,
    MORNING,
    STAFF_PATH,
    BookingDepartment,
    create_patient,
    freeze_clock,
    get_iso_date,
    get_weekday,
    list_rows,
    mark_paid,
    mark_seen,
)
from tests.support.client import get, post
from tests.support.factories import Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def run_stop_jobs(department: BookingDepartment) -> None:
    for row in list_rows("outbox", department.hospital):
        if row["job"] == "cancel_stopped_schedule":
            stopped_schedules.cancel_bookings(department.hospital.tenant_id, json.loads(row["payload"]))


def list_substituted(department: BookingDepartment) -> list[int]:
    return [one for _, event, one in department.list_notification_jobs() if event == EventType.DOCTOR_SUBSTITUTED]


def test_bookings_change_over_once(department: BookingDepartment, lin: Person, wang: Person) -> None:
    zhou = department.hospital.zhou
    old = department.create_schedule()
    first, second = department.book_slot(lin, old, 1), department.book_slot(wang, old, 3)
    mark_paid(first)
    results = [department.substitute_doctor(old, zhou.user_id, reason="外出会诊").data for _ in range(2)]
    assert results[0] == results[1] == {"schedule_id": results[0]["schedule_id"], "moved": 2}
    run_stop_jobs(department)
    for person, book_id, number in ((lin, first, 1), (wang, second, 3)):
        details = department.get_booking(person, book_id).data
        assert (details["doctorId"], details["treaNo"]) == (str(zhou.user_id), number)
        assert details["bookStatus"] == BookingStatus.BOOKED
    assert sorted(list_substituted(department)) == sorted([int(first), int(second)])
    assert list_rows("refunds_due", department.hospital) == []
    new = results[0]["schedule_id"]
    assert department.list_free_serial_nos(new) == [2, 4]
    assert department.list_free_serial_nos(old) == []
    changes = [
        (one["old_schedule_id"], one["schedule_id"]) for one in list_rows("booking_changes", department.hospital)
    ]
    assert changes == [(int(old), int(new))] * 2
    for row in list_rows("outbox", department.hospital):
        if row["job"] == "notify_booking":
            site_messages.notify_holder(department.hospital.tenant_id, json.loads(row["payload"]))
    [text] = [one["msg_text"] for one in get("/msg_service/msg/list", lin.token).data if "替诊" in one["msg_text"]]
    assert text.startswith(
        f"原医生停诊，由替诊医生接诊：林小雨，{get_iso_date(1)} 08:00，呼吸内科 周医生。原因：外出会诊。"
    )


def test_a_substitute_is_declined_for_a_full_refund(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(cancel_minutes=10_000)
    old = department.create_schedule()
    book_id = department.book_slot(lin, old)
    mark_paid(book_id)
    new = department.substitute_doctor(old, department.hospital.zhou.user_id).data["schedule_id"]
    shown = department.get_alternatives(lin, book_id).data
    assert (shown["kind"], shown["state"]) == ("substitute", "open")
    assert shown["expiresTime"] == f"{get_iso_date(1)} 08:00:00"
    assert department.accept_alternative(lin, book_id).status == 200, "may be confirmed, and declined afterwards"
    freeze_clock(monkeypatch, "07:59", ahead=1)
    for _ in range(2):
        assert department.decline_alternative(lin, book_id).status == 200
    assert department.get_booking(lin, book_id).data["cancelReason"] == "stopped"
    assert [one["fee"] for one in list_rows("refunds_due", department.hospital)] == [1250]
    assert department.list_free_serial_nos(new) == [1, 2, 3, 4]


def test_a_substitute_needs_no_acceptance(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = department.create_schedule()
    book_id = department.book_slot(lin, old)
    department.substitute_doctor(old, department.hospital.zhou.user_id)
    freeze_clock(monkeypatch, "08:00", ahead=1)
    alternatives.lapse_expired()
    assert department.get_status(lin, book_id) == BookingStatus.BOOKED
    assert [one["state"] for one in list_rows("alternatives", department.hospital)] == ["accepted"]
    assert department.decline_alternative(lin, book_id).error == "就诊时间已到，请到医院窗口办理"


def test_waiting_patients_change_over_and_seen_ones_do_not(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    zhou = department.hospital.zhou.user_id
    old = department.create_schedule()
    seen, waiting = department.book_slot(lin, old, 1), department.book_slot(wang, old, 2)
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for book_id in (seen, waiting):
        assert department.register(book_id=book_id).status == 200
    mark_seen(seen)
    freeze_clock(monkeypatch, "08:30")
    assert department.substitute_doctor(old, zhou).data["moved"] == 1
    run_stop_jobs(department)
    shown = [department.get_booking(*one).data for one in ((lin, seen), (wang, waiting))]
    assert [(one["doctorId"], one["bookStatus"]) for one in shown] == [
        (str(department.hospital.chen.user_id), BookingStatus.REGISTERED),
        (str(zhou), BookingStatus.REGISTERED),
    ]


def test_a_patient_who_has_booked_the_substitute_is_handled_as_of_a_stop(
    department: BookingDepartment, lin: Person
) -> None:
    zhou = department.hospital.zhou.user_id
    old = department.create_schedule()
    own = department.create_schedule(**AFTERNOON, doctor_id=zhou)
    book_id, other = department.book_slot(lin, old), department.book_slot(lin, own)
    assert department.substitute_doctor(old, zhou).data["moved"] == 0
    run_stop_jobs(department)
    assert (department.get_status(lin, book_id), department.get_status(lin, other)) == (1, 0)


def test_the_pattern_of_the_doctor_does_not_recreate_the_half_day(department: BookingDepartment) -> None:
    chen, zhou = department.hospital.chen.user_id, department.hospital.zhou.user_id
    pattern: dict[str, Any] = {"dept_id": department.dept_id, "doctor_id": chen, "weekday": get_weekday(1), **MORNING}
    old = department.create_schedule()
    assert post(f"{STAFF_PATH}/save_schedule_pattern", department.hospital.desk.token, **pattern).status == 200
    department.substitute_doctor(old, zhou)
    assert post(f"{STAFF_PATH}/save_schedule_pattern", department.hospital.desk.token, **pattern).status in (200, 409)
    rows = [one for one in list_rows("schedules", department.hospital) if str(one["day"]) == get_iso_date(1)]
    assert sorted((one["doctor_id"], one["live"]) for one in rows) == sorted([(chen, None), (zhou, 1)])


def test_who_and_what_is_rejected(department: BookingDepartment, other_department: BookingDepartment) -> None:
    hospital = department.hospital
    old, zhou = department.create_schedule(), hospital.zhou.user_id
    clinic = department.create_schedule(doctor_id=None)
    for person in (hospital.lin, hospital.chen):
        assert department.substitute_doctor(old, zhou, person).status == 403
    cases: list[tuple[Any, Any, int, str]] = [
        (other_department.create_schedule(), zhou, 404, "排班不存在"),
        (old, other_department.hospital.chen.user_id, 404, "医生不存在"),
        (old, hospital.lin.user_id, 404, "医生不存在"),
        (old, hospital.chen.user_id, 409, "替诊医生与原医生相同"),
        (clinic, zhou, 409, "普通门诊没有指定医生，无需替诊"),
        ("x", zhou, 400, "schedule_id"),
        (old, None, 400, "doctor_id"),
    ]
    for schedule_id, doctor_id, status, text in cases:
        response = department.substitute_doctor(schedule_id, doctor_id)
        assert (response.status, response.error.partition("：")[0]) == (status, text)
    disable = "UPDATE staff SET disabled_at = %(at)s WHERE user_id = %(zhou)s"
    mysql.autocommit.execute(disable, at=clock.now(), zhou=zhou)
    assert department.substitute_doctor(old, zhou).error == "替诊医生已停用"
    assert len(list_rows("schedules", hospital)) == 2
    mysql.autocommit.execute(disable, at=None, zhou=zhou)
    department.create_schedule(doctor_id=zhou)
    assert department.substitute_doctor(old, zhou).error == "替诊医生该半天已有排班"
    department.stop_schedule(old)
    assert department.substitute_doctor(old, zhou).error == "该排班已停诊"


def test_an_overlapping_schedule_of_the_substitute_is_named(department: BookingDepartment) -> None:
    zhou = department.hospital.zhou.user_id
    old = department.create_schedule(end="13:30")
    department.create_schedule(**{**AFTERNOON, "begin": "13:00"}, doctor_id=zhou)
    assert department.substitute_doctor(old, zhou).error == "替诊医生当天已有时间重叠的排班：13:00–17:00（呼吸内科）"


def test_booking_during_a_substitution(department: BookingDepartment) -> None:
    """Each booking that was accepted has its slot with the substitute, or a slot of its own there."""
    patients = [create_patient(department, one) for one in range(8)]
    old, zhou = department.create_schedule(slots=8), department.hospital.zhou.user_id
    statuses: list[int] = []

    def book(number: int) -> None:
        statuses.append(department.submit(patients[number], old, number + 1).status)

    work: list[Any] = [lambda number=number: book(number) for number in range(8)]
    results: list[Any] = []
    work += [lambda: results.append(department.substitute_doctor(old, zhou).data)] * 2
    run_in_threads(work)
    assert results[0]["schedule_id"] == results[1]["schedule_id"]
    assert set(statuses) <= {200, 409}
    rows = list_rows("bookings", department.hospital)
    assert len(rows) == statuses.count(200)
    assert {(one["schedule_id"], one["doctor_id"], one["status"]) for one in rows} <= {
        (int(results[0]["schedule_id"]), zhou, BookingStatus.BOOKED)
    }
    assert sorted(list_substituted(department)) == sorted(one["book_id"] for one in rows)
    assert all(one["expires_at"] > clock.now() for one in list_rows("alternatives", department.hospital))
    count = mysql.autocommit.fetch_value(
        "SELECT COUNT(*) FROM schedules WHERE tenant_id = %(id)s AND doctor_id = %(zhou)s",
        id=department.hospital.tenant_id,
        zhou=zhou,
    )
    assert count == 1
