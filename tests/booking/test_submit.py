"""Booking a slot: presubmit, submit, book/schedule. Races are in test_races.py."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import staff
from tests.support import factories
from tests.support.booking_client import (
    AFTERNOON,
    BOOKING_PATH,
    BookingDepartment,
    create_patient,
    create_second_account,
    freeze_clock,
    get_iso_date,
    list_rows,
)
from tests.support.client import Answer, post
from tests.support.factories import Person


def presubmit(person: Person, schedule_id: Any, serial_no: Any = 1) -> Answer:
    return post(f"{BOOKING_PATH}/book/presubmit", person.token, scheduleId=schedule_id, serialNo=serial_no)


def half_day(person: Person, schedule_id: Any, member_id: Any = None) -> Answer:
    member = person.member_id if member_id is None else member_id
    return post(f"{BOOKING_PATH}/book/schedule", person.token, scheduleId=schedule_id, memberId=member)


def test_what_the_confirm_page_shows(department: BookingDepartment, lin: Person) -> None:
    shown = {"deptId": str(department.dept_id), "deptName": "呼吸内科", "type": 1, "doctor": "陈医生", "bookfee": 12.5}
    schedule_id = department.create_schedule(**AFTERNOON)
    for _ in range(2):  # it holds nothing
        assert presubmit(lin, schedule_id, 2).data == {**shown, "appoTime": f"{get_iso_date(1)} 15:00:00"}
    clinic = department.create_schedule(doctor_id="", type=0, bookfee=0)
    assert presubmit(lin, clinic).data["doctor"] == ""
    assert list_rows("bookings", department.hospital) == []


def test_lin_books_a_slot(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id, 2)
    [row] = list_rows("bookings", department.hospital)
    assert (str(row["book_id"]), row["serial_no"], row["status"], row["live"]) == (book_id, 2, 0, 1)
    assert row["book_code"].startswith(get_iso_date(1).replace("-", ""))
    assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]


def test_the_same_request_again_is_the_same_booking(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    assert department.book_slot(lin, schedule_id) == department.book_slot(lin, schedule_id)
    assert len(list_rows("bookings", department.hospital)) == 1
    assert len(list_rows("outbox", department.hospital)) == 1


def test_a_copy_that_comes_after_cancelling_books_nothing(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.submit(lin, schedule_id, key="k1").data["bookId"]
    department.cancel(lin, book_id)
    assert department.submit(lin, schedule_id, key="k1").data["bookId"] == book_id
    assert [row["status"] for row in list_rows("bookings", department.hospital)] == [1]
    assert department.submit(lin, schedule_id, key="k2").data["bookId"] != book_id, "wanted anew"


def test_a_key_makes_one_booking_and_is_its_senders_own(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id, other = department.create_schedule(), department.create_schedule(**AFTERNOON)
    department.submit(lin, schedule_id, 1, key="k1")
    for asked in ((schedule_id, 2), (other, 1)):
        answer = department.submit(lin, *asked, key="k1")
        assert (answer.status, answer.error) == (409, "Idempotency-Key：已用于另一次预约")
    assert department.submit(wang, schedule_id, 2, key="k1").status == 200
    assert len(list_rows("bookings", department.hospital)) == 2


def test_a_slot_that_is_gone_names_what_is_free(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)
    for answer in (department.submit(wang, schedule_id, 2), presubmit(wang, schedule_id, 2)):
        assert (answer.status, answer.code) == (409, 10005)
        assert answer.error == "2号已被预约，还可预约：1号 08:00、3号 10:00、4号 11:00"
    many = department.create_schedule(**{**AFTERNOON, "slots": 9, "doctor_id": ""})
    department.book_slot(lin, many, 1)
    assert department.submit(wang, many, 1).error.endswith("、6号 15:40 等 8 个号")


def test_a_half_day_that_is_full_says_so(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule(slots=1)
    department.book_slot(lin, schedule_id)
    assert department.submit(wang, schedule_id).error == "1号已被预约，该半天已约满"
    asked = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id}
    assert department.get_public("schedule_by_doctor", deptId=department.dept_id).data["list"][0]["status"] == 2
    assert department.get_public("schedule/info", **asked).data[0]["leftBookCountList"] == [
        {"date": get_iso_date(1), "leftCount": 0}
    ]


def test_a_person_has_one_booking_in_a_half_day(department: BookingDepartment, lin: Person) -> None:
    morning = department.create_schedule()
    elsewhere = department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    assert half_day(lin, elsewhere).data is None
    department.book_slot(lin, morning)
    other = create_second_account(department, lin)
    for person in (lin, other):
        for answer in (department.submit(person, elsewhere), half_day(person, elsewhere)):
            assert (answer.status, answer.error) == (409, f"就诊人在 {get_iso_date(1)} 上午已有预约")
    assert department.submit(other, morning).status == 409, "the same person, but another account's booking"
    assert len(list_rows("bookings", department.hospital)) == 1


def test_a_person_sees_a_doctor_once_a_day_and_another_doctor_in_the_afternoon(
    department: BookingDepartment, lin: Person
) -> None:
    department.book_slot(lin, department.create_schedule())
    afternoon = department.create_schedule(**AFTERNOON)
    for answer in (department.submit(lin, afternoon), half_day(lin, afternoon)):
        assert (answer.status, answer.error) == (409, f"就诊人在 {get_iso_date(1)} 已预约该医生")
    department.book_slot(
        lin, department.create_schedule(**{**AFTERNOON, "doctor_id": department.hospital.zhou.user_id})
    )
    department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))


def test_general_clinics_of_a_day_are_no_one_doctor(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule(doctor_id=""))
    department.book_slot(lin, department.create_schedule(**{**AFTERNOON, "doctor_id": ""}))


@pytest.mark.parametrize("serial_no", [0, -1, 5, 501, "x", "", None, 1.5, True, "1; DROP TABLE bookings"])
def test_a_slot_that_does_not_exist_is_named(department: BookingDepartment, lin: Person, serial_no: Any) -> None:
    schedule_id = department.create_schedule()
    for answer in (department.submit(lin, schedule_id, serial_no), presubmit(lin, schedule_id, serial_no)):
        assert (answer.status, answer.code) == (400, 10001)
        assert answer.error.startswith("serialNo：")
    assert list_rows("bookings", department.hospital) == []


ASKS = {"presubmit": ("scheduleId",), "submit": ("scheduleId", "memberId"), "schedule": ("scheduleId", "memberId")}


@pytest.mark.parametrize("value", ["x", "", None, 0, True, 2**53])
@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in ASKS.items() for name in names])
def test_a_bad_field_is_named(department: BookingDepartment, lin: Person, path: str, name: str, value: Any) -> None:
    body = {"scheduleId": department.create_schedule(), "serialNo": 1, "memberId": lin.member_id, name: value}
    answer = post(f"{BOOKING_PATH}/book/{path}", lin.token, **body)
    assert (answer.status, answer.code, answer.error.partition("：")[0]) == (400, 10001, name)
    assert list_rows("bookings", department.hospital) == []


@pytest.mark.parametrize(("path", "names"), ASKS.items())
def test_what_is_missing_is_named(lin: Person, path: str, names: tuple[str, ...]) -> None:
    error = post(f"{BOOKING_PATH}/book/{path}", lin.token).error
    missing = {*names, "serialNo"} if "submit" in path else {*names}
    assert set(error.split("；")) == {f"{name}：必填" for name in missing}


def test_a_field_is_taken_by_either_name_and_as_number_or_text(department: BookingDepartment, lin: Person) -> None:
    schedule_id, member_id = department.create_schedule(), lin.member_id
    snake: dict[str, Any] = {"schedule_id": int(schedule_id), "serial_no": "2", "member_id": str(member_id)}
    assert post(f"{BOOKING_PATH}/book/schedule", lin.token, **snake).data is None
    assert post(f"{BOOKING_PATH}/book/presubmit", lin.token, **snake).data == presubmit(lin, schedule_id, 2).data
    booked = post(f"{BOOKING_PATH}/book/submit", lin.token, **snake).data["bookId"]
    assert booked == department.book_slot(lin, schedule_id, 2)


def test_what_is_anothers_does_not_exist(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id, theirs = department.create_schedule(), other_department.create_schedule()
    for answer in (
        department.submit(lin, theirs),
        presubmit(lin, theirs),
        half_day(lin, theirs),
        department.submit(lin, schedule_id, member_id=wang.member_id),
        department.submit(lin, schedule_id, member_id=other_department.hospital.lin.member_id),
        half_day(lin, schedule_id, member_id=wang.member_id),
        half_day(lin, schedule_id, member_id=other_department.hospital.lin.member_id),
        *(ask(lin, 999_999_999) for ask in (department.submit, presubmit, half_day)),
    ):
        assert (answer.status, answer.code) == (404, 10004)
    assert list_rows("bookings", department.hospital) == list_rows("bookings", other_department.hospital) == []


def test_who_has_no_patient_file_is_asked_to_say_who_they_are(department: BookingDepartment, lin: Person) -> None:
    child = factories.add_member(lin, "林小宝")
    schedule_id = department.create_schedule()
    for answer in (department.submit(lin, schedule_id, member_id=child), half_day(lin, schedule_id, member_id=child)):
        assert (answer.status, answer.error) == (409, "就诊人尚未建档，请先完善身份信息")
    assert list_rows("bookings", department.hospital) == []


def test_who_has_the_slot_already_is_told_so_on_the_confirm_page(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)
    answer = presubmit(lin, schedule_id, 2)
    assert (answer.status, answer.error) == (409, "您已预约2号，请查看预约记录")


def test_a_stopped_half_day_has_no_confirm_page(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    department.stop_schedule(schedule_id)
    answer = presubmit(lin, schedule_id)
    assert (answer.status, answer.error) == (409, "该排班已停诊")


def test_a_child_does_not_have_the_slot_of_who_books_for_it(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    child = replace(lin, member_id=factories.add_member(lin, "林小宝"))
    factories.create_patient_file(child, "林小宝")
    department.book_slot(lin, schedule_id, 1)
    assert department.submit(child, schedule_id, 1).error == "1号已被预约，还可预约：2号 09:00、3号 10:00、4号 11:00"
    book_id = department.book_slot(child, schedule_id, 2)
    assert department.get_booking(lin, book_id).data["memberName"] == "林小宝"


def test_what_is_over_or_not_offered_yet_is_refused(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    today, far = department.create_schedule(date=get_iso_date(0)), department.create_schedule(date=get_iso_date(15))
    for answer in (department.submit(lin, far), presubmit(lin, far)):
        assert (answer.status, answer.error) == (409, "该号源尚未开放，只能预约今天起 14 天内的号源")
    freeze_clock(monkeypatch, "10:00")
    for answer in (department.submit(lin, today, 3), presubmit(lin, today, 3)):
        assert (answer.status, answer.error) == (409, "3号的就诊时间已过，还可预约：4号 11:00")
    department.book_slot(lin, today, 4)
    freeze_clock(monkeypatch, "00:00", ahead=1)
    assert department.submit(lin, today, 3).error == "3号的就诊时间已过，该半天已约满"


def test_a_doctor_who_left_is_not_booked(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id, chen = department.create_schedule(), department.hospital.chen
    book_id = department.book_slot(lin, schedule_id)
    mysql.run_transaction(lambda tx: staff.set_disabled(tx, chen.tenant_id, chen.user_id, True))
    for answer in (department.submit(wang, schedule_id, 2), presubmit(wang, schedule_id, 2)):
        assert (answer.status, answer.error) == (409, "该排班已停诊")
    assert department.book_slot(lin, schedule_id) == book_id, "the same request again"
    assert len(list_rows("bookings", department.hospital)) == 1


def test_a_person_books_so_often_in_a_day(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(daily_limit=2)
    schedule_id = department.create_schedule()
    for _ in range(2):
        department.cancel(lin, department.book_slot(lin, schedule_id))
    for person in (lin, create_second_account(department, lin)):
        assert department.submit(person, schedule_id).error == "就诊人今天已预约 2 次，请明天再试"
    department.book_slot(create_patient(department, 1), schedule_id)
    freeze_clock(monkeypatch, "00:00", ahead=1)
    department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))


def test_a_code_that_another_booking_has_is_drawn_again(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([7, 7, 7, 8])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(draws))
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 1)
    department.book_slot(wang, schedule_id, 2)
    assert [row["book_code"][8:] for row in list_rows("bookings", department.hospital)] == ["000007", "000008"]
