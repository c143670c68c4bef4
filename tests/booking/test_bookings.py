"""books, book/{bookId} and book/cancel."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing import bookings
from chalicelib.booking.closures import stopped_schedules
from chalicelib.people import documents, formatting, id_cards, patient_documents
from chalicelib.people.documents import IdType
from tests.support.booking_client import (
    BOOKING_PATH,
    BookingDepartment,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
)
from tests.support.client import get, post
from tests.support.factories import Person


def list_bookings(person: Person, **query: Any) -> dict[str, Any]:
    return dict(get(f"{BOOKING_PATH}/books", person.token, **query).data)


def test_bookings_are_listed_newest_first(department: BookingDepartment, lin: Person, wang: Person) -> None:
    first = department.book_slot(lin, department.create_schedule(), 2)
    second = department.book_slot(lin, department.create_schedule(doctor_id="", type=0, date=get_iso_date(2)))
    found = list_bookings(lin)
    assert [one["bookId"] for one in found["list"]] == [second, first]
    assert found["list"][1] == {
        "bookId": first,
        "treaTime": f"{get_iso_date(1)} 09:00:00",
        "bookStatus": 0,
        "deptId": str(department.dept_id),
        "deptName": "呼吸内科",
        "type": 1,
        "doctorId": str(department.hospital.chen.user_id),
        "doctorName": "陈医生",
        "memberName": "林小雨",
        "visiSerialno": "",
        "visiCharge": 1,
        "cancelReason": "",
        "confirmBy": "",
        "refundStatus": "",
        "refundAmount": None,
        "refundTime": None,
    }
    assert (found["list"][0]["doctorId"], found["list"][0]["doctorName"]) == ("", "")
    page = list_bookings(lin, pageNo=2, pageSize=1)
    assert (page["page_num"], page["total"], page["pages"], page["list"]) == (2, 2, 2, found["list"][1:])
    assert list_bookings(lin, page_num=2, page_size=1) == page
    assert list_bookings(lin, pageSize=1_000)["page_size"] == 100
    assert list_bookings(wang)["list"] == []


@pytest.mark.parametrize("wrong", [{"pageNo": -1}, {"pageNo": "x"}, {"pageSize": -1}, {"pageSize": "x"}])
def test_invalid_page_is_named(lin: Person, wrong: dict[str, Any]) -> None:
    response = get(f"{BOOKING_PATH}/books", lin.token, **wrong)
    assert (response.status, response.error.partition("：")[0]) == (400, next(iter(wrong)))


def test_booking_details(department: BookingDepartment, lin: Person) -> None:
    number = "11019919900517002" + id_cards.compute_check_character("11019919900517002")
    known = documents.build_document(lin.tenant_id, IdType.RESIDENT_CARD, number)
    [pati_id] = [
        row["pati_id"] for row in list_rows("members", department.hospital) if row["member_id"] == lin.member_id
    ]
    mysql.run_transaction(lambda tx: patient_documents.add(tx, lin.tenant_id, pati_id, known, None))
    book_id = department.book_slot(lin, department.create_schedule(), 3)
    found = department.get_booking(lin, book_id).data
    [row] = list_rows("bookings", department.hospital)
    assert found == {
        "bookId": book_id,
        "bookCode": row["book_code"],
        "bookStatus": 0,
        "deptId": str(department.dept_id),
        "deptName": "呼吸内科",
        "type": 1,
        "doctorId": str(department.hospital.chen.user_id),
        "doctorName": "陈医生",
        "bookfee": 12.5,
        "treaTime": f"{get_iso_date(1)} 10:00:00",
        "treaNo": 3,
        "treaArea": "A 区",
        "memberName": "林小雨",
        "memberGender": "女",
        "memberAge": formatting.format_age("1990-05-17", clock.today()),
        "memberIDNo": number,
        "bookTime": clock.format_wire_time(row["created_at"]),
        "visiCharge": 1,
        "cancelReason": "",
        "confirmBy": "",
        "refundStatus": "",
        "refundAmount": None,
        "refundTime": None,
    }


def test_booking_keeps_its_terms_when_the_schedule_changes(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    assert department.save_schedule(schedule_id=schedule_id, bookfee=99, area="B 区", type=0).status == 200
    found = department.get_booking(lin, book_id).data
    assert (found["bookfee"], found["treaArea"], found["type"]) == (12.5, "A 区", 1)
    response = department.save_schedule(schedule_id=schedule_id, slots=9)
    assert (response.status, response.error) == (409, "已有患者预约，只能修改类型、费用和候诊地点")


def test_booking_of_another_account_is_not_found(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    for person in (wang, other_department.hospital.lin):
        assert department.get_booking(person, book_id).status == 404
        assert department.cancel(person, book_id).status == 404
    tenant_id = other_department.hospital.tenant_id
    assert mysql.run_transaction(lambda tx: bookings.find_for_update(tx, tenant_id, int(book_id))) is None
    assert department.get_booking(lin, 999_999_999).status == 404
    assert department.get_status(lin, book_id) == 0


@pytest.mark.parametrize("book_id", ["x", 0, -1, "1e3"])
def test_invalid_book_id_is_named(department: BookingDepartment, lin: Person, book_id: Any) -> None:
    for response in (department.get_booking(lin, book_id), department.cancel(lin, book_id)):
        assert (response.status, response.error.partition("：")[0]) == (400, "bookId")
    assert post(f"{BOOKING_PATH}/book/cancel", lin.token).error == "bookId：必填"


def test_cancelled_booking_shows_the_reason(department: BookingDepartment, lin: Person) -> None:
    by_patient = department.book_slot(lin, department.create_schedule())
    by_stop = department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))
    # The other spelling of the parameter, and a number.
    assert post(f"{BOOKING_PATH}/book/cancel", lin.token, book_id=int(by_patient)).status == 200
    stopped_schedules.cancel_booking(lin.tenant_id, int(by_stop), department.hospital.desk.user_id)
    found = list_bookings(lin)["list"]
    assert [(one["bookStatus"], one["cancelReason"]) for one in found] == [(1, "stopped"), (1, "patient")]
    assert department.get_booking(lin, by_stop).data["cancelReason"] == "stopped"


def test_cancelled_slot_can_be_booked_again(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule(slots=1)
    book_id = department.book_slot(lin, schedule_id)
    for _ in range(2):
        assert department.cancel(lin, book_id).data is None
    assert department.list_free_serial_nos(schedule_id) == [1]
    again = department.book_slot(wang, schedule_id)
    assert (department.get_status(lin, book_id), department.get_status(wang, again)) == (1, 0)
    department.cancel(wang, again)
    third = department.book_slot(lin, schedule_id)
    assert third not in (book_id, again)
    assert department.cancel(lin, book_id).status == 200, "a repeated request"
    assert department.get_status(lin, third) == 0


def test_cancelled_paid_booking_is_refunded(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    book_id, unpaid = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)
    free = department.book_slot(lin, department.create_schedule(date=get_iso_date(2), bookfee=0))
    for one in (book_id, free):
        mark_paid(one)
    for _ in range(2):
        department.cancel(lin, book_id)
        department.cancel(lin, free)
        department.cancel(wang, unpaid)
    [due] = list_rows("refunds_due", department.hospital)
    assert (str(due["book_id"]), due["fee"], due["reason"]) == (book_id, 1250, "patient")


def test_booking_cannot_be_cancelled_after_the_deadline(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(), 3)
    department.save_rules(cancel_minutes=90)
    freeze_clock(monkeypatch, "08:30", ahead=1)
    assert department.cancel(lin, book_id).error == "已过就诊前 90 分钟，不能取消，如需办理请联系医院前台"
    department.save_rules(cancel_minutes=0)
    freeze_clock(monkeypatch, "10:00")
    assert department.cancel(lin, book_id).error == "已过就诊时间，不能取消，如需办理请联系医院前台"
    freeze_clock(monkeypatch, "09:59")
    assert department.cancel(lin, book_id).status == 200
