"""manager_service/call_list and mark_called: patients whom no channel has reached."""

from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.jobs import scheduled
from tests.support import front_desk_client
from tests.support.booking_client import (
    AFTERNOON,
    STAFF_PATH,
    BookingDepartment,
    create_patient,
    freeze_clock,
    get_iso_date,
    list_rows,
)
from tests.support.client import get
from tests.support.factories import Person
from tests.support.id_numbers import build_id_number
from tests.support.ladder_client import Time, get_call_list, list_states, mark_called, run_jobs, time
from tests.support.threads import run_in_threads

__all__ = ["time"]
pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def loud(time: Time, department: BookingDepartment) -> None:
    """The hospital has no quiet hours, no WeChat account and sends no SMS; it is before noon."""
    time.set(9)
    department.save_rules(quiet_from=0, quiet_to=0)


def stop(department: BookingDepartment, *patients: Person, ahead: int = 2, **fields: Any) -> list[str]:
    """Stop a half-day that these patients have booked, without alternatives for them."""
    department.save_rules(hold_hours=0)
    schedule_id = department.create_schedule(date=get_iso_date(ahead), **fields)
    book_ids = [department.book_slot(patient, schedule_id, number) for number, patient in enumerate(patients, 1)]
    department.stop_schedule(schedule_id, reason="医生外出")
    run_jobs()
    return book_ids


def test_patient_that_no_channel_reaches_is_listed(department: BookingDepartment, lin: Person) -> None:
    [book_id] = stop(department, lin)
    [entry] = get_call_list(department.hospital.desk)
    [booking] = list_rows("bookings", department.hospital)
    [row] = list_rows("booking_notifications", department.hospital)
    assert entry == {
        "notification_id": str(row["notification_id"]),
        "type": 1102,
        "text": f"因停诊，您的预约已取消：林小雨，{get_iso_date(2)} 08:00，呼吸内科 陈医生。原因：医生外出。"
        "给您带来不便，敬请谅解。",
        "failure": "no_template",
        "name": "林小雨",
        "phone": lin.phone,
        "pati_id": str(booking["pati_id"]),
        "book_id": book_id,
        "book_code": booking["book_code"],
        "bookStatus": 1,
        "date": get_iso_date(2),
        "time": "08:00",
        "deptName": "呼吸内科",
        "doctorName": "陈医生",
        "since": clock.format_wire_time(row["created_at"]),
        "called_by": "",
        "called_at": "",
    }


def test_patient_without_an_account_is_listed_with_the_phone_of_the_file(department: BookingDepartment) -> None:
    pati_id = front_desk_client.file_patient(department.hospital.desk, build_id_number(), pati_name="无账号")
    mysql.autocommit.execute("UPDATE patients SET phone_sealed = NULL WHERE pati_id = %(pati_id)s", pati_id=pati_id)
    schedule_id = department.create_schedule(date=get_iso_date(2))
    assert department.book_for_patient(pati_id, schedule_id).status == 200
    department.stop_schedule(schedule_id)
    run_jobs()
    run_jobs()
    [entry] = get_call_list(department.hospital.admin)
    assert (entry["name"], entry["phone"], entry["failure"]) == ("无账号", "", "no_account")
    assert "无账号" in entry["text"]


def test_bookings_of_patients_without_an_account_are_listed_once(department: BookingDepartment) -> None:
    pati_id = front_desk_client.file_patient(department.hospital.desk, build_id_number())
    first, second = (department.create_schedule(date=get_iso_date(ahead)) for ahead in (2, 3))
    book_id = department.book_for_patient(pati_id, first).data["book_id"]
    department.reschedule_as_desk(book_id, second)
    for _ in range(2):
        run_jobs()
    assert list_states(department) == [(1108, "unreached", "no_account")]
    [entry] = get_call_list(department.hospital.desk)
    assert (entry["date"], entry["phone"] != "") == (get_iso_date(3), True)


def test_entry_disappears_when_the_patient_reads_the_site_message(department: BookingDepartment, lin: Person) -> None:
    stop(department, lin)
    mysql.autocommit.execute("UPDATE site_deliveries SET is_read = 1 WHERE user_id = %(user_id)s", user_id=lin.user_id)
    assert get_call_list(department.hospital.desk) == []


@pytest.mark.parametrize("action", ["accept", "decline", "other", "cancel"])
def test_held_alternative_disappears_when_the_patient_decides(
    department: BookingDepartment, lin: Person, action: str
) -> None:
    first, _, third = (department.create_schedule(date=get_iso_date(ahead)) for ahead in (2, 3, 4))
    book_id = department.book_slot(lin, first)
    department.stop_schedule(first)
    run_jobs()
    assert [one["type"] for one in get_call_list(department.hospital.desk)] == [1121]
    match action:
        case "accept":
            response = department.accept_alternative(lin, book_id)
        case "decline":
            response = department.decline_alternative(lin, book_id)
        case "other":
            response = department.accept_alternative(lin, book_id, scheduleId=third, serialNo=1)
        case _:
            response = department.cancel(lin, book_id)
    assert response.status == 200
    assert get_call_list(department.hospital.desk) == []


def test_offer_of_the_waitlist_disappears_when_it_is_confirmed(department: BookingDepartment, lin: Person) -> None:
    waiting = create_patient(department, 1)
    mysql.autocommit.execute(
        "UPDATE patients SET status = 'verified' WHERE tenant_id = %(id)s", id=department.hospital.tenant_id
    )
    schedule_id = department.create_schedule(date=get_iso_date(2), slots=1)
    book_id = department.book_slot(lin, schedule_id)
    assert department.join_waitlist(waiting, schedule_id).status == 200
    department.cancel(lin, book_id)
    run_jobs()
    [entry] = get_call_list(department.hospital.desk)
    assert (entry["type"], entry["name"]) == (1110, "患者1")
    assert department.confirm(waiting, entry["book_id"]).status == 200
    assert get_call_list(department.hospital.desk) == []


def test_entry_ends_with_its_time(department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (department.create_schedule(date=get_iso_date(ahead)) for ahead in (2, 3))
    book_id = department.book_slot(lin, first)
    department.reschedule_as_desk(book_id, second)
    run_jobs()
    for moment, listed in (("07:59", 1), ("08:00", 0)):
        with monkeypatch.context() as later:
            freeze_clock(later, moment, ahead=3)
            assert len(get_call_list(department.hospital.desk)) == listed
    scheduled.expire_calls()
    assert list_states(department) == [(1108, "unreached", "no_template")]
    freeze_clock(monkeypatch, "00:01", ahead=4)
    scheduled.expire_calls()
    assert list_states(department) == [(1108, "outdated", "")]


def test_filters_and_pages(department: BookingDepartment, lin: Person, wang: Person) -> None:
    desk = department.hospital.desk
    patients = [create_patient(department, number) for number in range(3)]
    stop(department, lin, wang)
    stop(department, *patients, ahead=3, **AFTERNOON)
    assert [one["name"] for one in get_call_list(desk)] == ["林小雨", "王强", "患者0", "患者1", "患者2"]
    assert [one["name"] for one in get_call_list(desk, date=get_iso_date(2))] == ["林小雨", "王强"]
    assert len(get_call_list(desk, dept_id=department.dept_id)) == 5
    assert get_call_list(desk, dept_id=department.dept_id + 1) == []
    names, after = [], ""
    for size in (2, 2, 1):
        page = get(f"{STAFF_PATH}/call_list", desk.token, page_size=2, after=after).data
        assert len(page["list"]) == size
        names += [one["name"] for one in page["list"]]
        after = page["next"]
    assert (names, after) == (["林小雨", "王强", "患者0", "患者1", "患者2"], "")


def test_called_patient_leaves_the_list(department: BookingDepartment, lin: Person) -> None:
    stop(department, lin)
    hospital = department.hospital
    [entry] = get_call_list(hospital.desk)
    first = mark_called(hospital.desk, entry["notification_id"])
    assert (first.status, first.data["called_at"]) == (200, clock.format_wire_time(clock.now()))
    assert mark_called(hospital.admin, entry["notification_id"]).data == first.data, "the first one counts"
    assert get_call_list(hospital.desk) == []
    [called] = get_call_list(hospital.desk, called="true")
    assert (called["called_by"], called["called_at"]) == (first.data["called_by"], first.data["called_at"])
    assert first.data["called_by"] != ""


def test_concurrent_calls_record_one_member_of_staff(department: BookingDepartment, lin: Person) -> None:
    stop(department, lin)
    [entry] = get_call_list(department.hospital.desk)
    people = [department.hospital.desk, department.hospital.admin] * 2
    responses = run_in_threads([partial(mark_called, one, entry["notification_id"]) for one in people])
    assert len({str(one.data) for one in responses}) == 1


def test_patient_who_was_reached_cannot_be_marked(department: BookingDepartment, lin: Person) -> None:
    stop(department, lin)
    [entry] = get_call_list(department.hospital.desk)
    mysql.autocommit.execute(
        "UPDATE booking_notifications SET state = 'texted' WHERE notification_id = %(id)s", id=entry["notification_id"]
    )
    response = mark_called(department.hospital.desk, entry["notification_id"])
    assert (response.status, response.error) == (409, "该患者不在待致电名单中，可能已收到通知")


def test_other_hospitals_and_roles_see_nothing(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, chen: Person
) -> None:
    stop(department, lin)
    [entry] = get_call_list(department.hospital.desk)
    assert get_call_list(other_department.hospital.desk) == []
    assert mark_called(other_department.hospital.desk, entry["notification_id"]).status == 404
    for person in (lin, chen):
        assert get(f"{STAFF_PATH}/call_list", person.token).status == 403
        assert mark_called(person, entry["notification_id"]).status == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [("date", "2036-13-01"), ("dept_id", "x"), ("called", "maybe"), ("after", "-1")],
)
def test_invalid_filters_are_rejected(department: BookingDepartment, field: str, value: str) -> None:
    response = get(f"{STAFF_PATH}/call_list", department.hospital.desk.token, **{field: value})  # type: ignore[arg-type]
    assert (response.status, response.error.startswith(f"{field}：")) == (400, True)


@pytest.mark.parametrize("notification_id", ["", "x", 0, None])
def test_invalid_notification_is_rejected(department: BookingDepartment, notification_id: Any) -> None:
    assert mark_called(department.hospital.desk, notification_id).status == 400
