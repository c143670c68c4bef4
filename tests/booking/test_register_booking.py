"""The desk receives who has booked: register_booking, day_bookings."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.people import doctors, formatting
from chalicelib.people.doctors import Profile
from tests.support import booking_client as wards
from tests.support.booking_client import (
    AFTERNOON,
    BOOKING_PATH,
    STAFF_PATH,
    BookingDepartment,
    freeze_clock,
    get_iso_date,
    list_rows,
)
from tests.support.client import Answer, get
from tests.support.factories import Person


def listed(person: Person, **query: Any) -> Answer:
    return get(f"{STAFF_PATH}/day_bookings", person.token, **{"date": get_iso_date(0), **query})


@pytest.fixture
def morning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today at 07:00."""
    freeze_clock(monkeypatch, "07:00")


@pytest.mark.usefixtures("morning")
def test_a_patient_who_has_come_is_registered_by_number_or_code(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(0))
    first, second = department.book_slot(lin, schedule_id, 2), department.book_slot(wang, schedule_id, 3)
    code = department.get_booking(wang, second).data["bookCode"]
    for _ in range(2):  # the same request twice
        assert department.register(book_id=first).data == {"book_id": first, "visi_serialno": "2"}
        assert department.register(book_code=code).data == {"book_id": second, "visi_serialno": "3"}
    found = get(f"{BOOKING_PATH}/books", lin.token).data["list"]
    assert [(one["bookStatus"], one["visiSerialno"]) for one in found] == [(2, "2")]
    assert str(list_rows("patients", department.hospital)[0]["trea_id"]) == first
    registered = [one for one in department.list_notification_jobs() if one[1] == EventType.BOOKING_REGISTERED]
    assert len(registered) == len(set(registered)) == 2
    assert department.cancel(lin, first).error == "该预约已挂号或已失约，不能取消"


def test_only_on_the_day_itself(department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    assert department.register(book_id=book_id).error == f"只能在就诊当天（{get_iso_date(1)}）挂号"
    freeze_clock(monkeypatch, "23:59", ahead=1)
    assert department.register(book_id=book_id).status == 200, "who is late is received"


def test_who_comes_the_day_after_is_not_received(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    freeze_clock(monkeypatch, "00:00", ahead=2)
    assert department.register(book_id=book_id).error == f"只能在就诊当天（{get_iso_date(-1)}）挂号"


@pytest.mark.usefixtures("morning")
def test_two_hospitals_may_give_the_same_code(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _: 7)
    theirs = other_department.book_slot(
        other_department.hospital.lin, other_department.create_schedule(date=get_iso_date(0))
    )
    own = department.book_slot(lin, department.create_schedule(date=get_iso_date(0)))
    code = department.get_booking(lin, own).data["bookCode"]
    assert code == other_department.get_booking(other_department.hospital.lin, theirs).data["bookCode"]
    assert [of.register(book_code=code).data["book_id"] for of in (department, other_department)] == [own, theirs]


@pytest.mark.usefixtures("morning")
def test_what_is_cancelled_or_anothers_is_not_registered(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(date=get_iso_date(0)))
    department.cancel(lin, book_id)
    assert department.register(book_id=book_id).error == "该预约已取消或已失约"
    theirs = other_department.book_slot(
        other_department.hospital.lin, other_department.create_schedule(date=get_iso_date(0))
    )
    assert department.register(book_id=theirs).status == 404
    assert (
        department.register(
            book_code=other_department.get_booking(other_department.hospital.lin, theirs).data["bookCode"]
        ).status
        == 404
    )
    assert other_department.get_status(other_department.hospital.lin, theirs) == 0


@pytest.mark.usefixtures("morning")
def test_nobody_is_registered_for_what_was_stopped(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)  # the job that cancels comes later
    schedule_id = department.create_schedule(date=get_iso_date(0))
    came, late = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)
    department.register(book_id=came)
    department.stop_schedule(schedule_id)
    answer = department.register(book_id=late)
    assert (answer.status, answer.error) == (409, "该排班已停诊")
    assert department.register(book_id=came).status == 200, "who was registered stays so"
    assert [department.get_status(lin, came), department.get_status(wang, late)] == [2, 0]


@pytest.mark.parametrize(
    ("which", "field"),
    [
        *(({}, "book_id"), ({"book_id": ""}, "book_id"), ({"book_id": "", "book_code": ""}, "book_id")),
        *(({"book_id": "x"}, "book_id"), ({"book_id": 0}, "book_id")),
        *(({"book_code": "12"}, "book_code"), ({"book_code": "x" * 14}, "book_code"), ({"book_code": 1}, "book_code")),
    ],
)
def test_a_bad_field_is_named(department: BookingDepartment, which: dict[str, Any], field: str) -> None:
    answer = department.register(**which)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, field)


def test_what_there_is_not_is_not_registered(department: BookingDepartment) -> None:
    for which in ({"book_id": 999_999_999}, {"bookCode": "2" * 14}, {"appo_id": "999999999"}):
        answer = department.register(**which)
        assert (answer.status, answer.error) == (404, "预约不存在")


@pytest.mark.store
@pytest.mark.usefixtures("morning")
def test_registering_and_cancelling_at_once_end_in_one_of_the_two(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(0))
    for person, slot in ((lin, 1), (wang, 2)):
        book_id = department.book_slot(person, schedule_id, slot)
        with ThreadPoolExecutor(6) as pool:
            registered = [pool.submit(department.register, book_id=book_id) for _ in range(3)]
            cancelled = [pool.submit(department.cancel, person, book_id) for _ in range(3)]
            results = {one.result().status for one in registered}, {one.result().status for one in cancelled}
        assert results == (({200}, {409}) if department.get_status(person, book_id) == 2 else ({409}, {200}))
    assert len([one for one in department.list_notification_jobs() if one[1] != EventType.BOOKING_MADE]) == 2


def test_the_days_list_is_by_time_and_masked(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    second, first = department.book_slot(wang, schedule_id, 3), department.book_slot(lin, schedule_id, 2)
    found = listed(department.hospital.chen, date=get_iso_date(1)).data
    assert [one["book_id"] for one in found["list"]] == [first, second]
    [row] = [row for row in list_rows("bookings", department.hospital) if str(row["book_id"]) == first]
    assert found["list"][0] == {
        "book_id": first,
        "book_code": row["book_code"],
        "book_status": 0,
        "time": "09:00",
        "serial_no": 2,
        "dept_name": "呼吸内科",
        "doctor_name": "陈医生",
        "type": 1,
        "pati_id": str(row["pati_id"]),
        "pati_name": "林小雨",
        "pati_gender": 2,
        "pati_age": formatting.format_age("1990-05-17", clock.today()),
        "pati_phone": "138****0001",
        "visi_charge": 1,
    }
    department.cancel(lin, first)
    page = listed(department.hospital.desk, date=get_iso_date(1), page_size=1).data
    assert (page["total"], page["list"][0]["book_id"]) == (1, second)


def test_doctors_see_who_comes_to_their_departments_general_clinic(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    chen, zhou, desk = department.hospital.chen, department.hospital.zhou, department.hospital.desk
    elsewhere = wards.create_department(department.hospital, "儿科")
    for doctor, dept_id in ((chen, department.dept_id), (zhou, elsewhere.dept_id)):
        profile = Profile(dept_id=dept_id)
        mysql.run_transaction(lambda tx: doctors.update(tx, doctor.tenant_id, doctor.user_id, profile))  # noqa: B023  # at once
    own = department.book_slot(lin, department.create_schedule())
    clinics = department.book_slot(wang, department.create_schedule(**{**AFTERNOON, "doctor_id": ""}))
    other_department.book_slot(other_department.hospital.lin, other_department.create_schedule(doctor_id=""))

    def seen(person: Person, **query: Any) -> list[str]:
        return [one["book_id"] for one in listed(person, date=get_iso_date(1), **query).data["list"]]

    assert [seen(one) for one in (chen, zhou, desk)] == [[own, clinics], [], [own, clinics]]
    assert seen(chen, doctor_id=chen.user_id) == [own]
    assert seen(zhou, dept_id=department.dept_id) == []


def test_doctors_see_their_own_day_and_the_desk_everybodys(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    department.book_slot(lin, department.create_schedule())
    department.book_slot(wang, department.create_schedule(**{**AFTERNOON, "doctor_id": ""}))
    chen, zhou, desk = department.hospital.chen, department.hospital.zhou, department.hospital.desk
    assert [listed(one, date=get_iso_date(1)).data["total"] for one in (chen, zhou, desk)] == [1, 0, 2]
    assert listed(zhou, date=get_iso_date(1), doctor_id=chen.user_id).status == 404
    assert listed(desk, date=get_iso_date(1), doctor_id=chen.user_id).data["total"] == 1
    assert listed(desk, date=get_iso_date(1), dept_id=department.dept_id).data["total"] == 2
    assert listed(desk, date=get_iso_date(1), dept_id=999_999_999).data["total"] == 0
    assert listed(other_department.hospital.desk, date=get_iso_date(1)).data["total"] == 0


@pytest.mark.parametrize(
    "wrong", [{"date": ""}, {"date": "x"}, {"dept_id": "x"}, {"doctor_id": 0}, {"page_num": 0}, {"page_size": "x"}]
)
def test_a_bad_field_of_the_list_is_named(department: BookingDepartment, wrong: dict[str, Any]) -> None:
    answer = listed(department.hospital.desk, **wrong)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, next(iter(wrong)))
