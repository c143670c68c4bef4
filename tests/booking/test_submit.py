"""book/presubmit, book/submit and book/schedule. Concurrent requests are in test_races.py."""

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
from tests.support.client import ApiResponse, post
from tests.support.factories import Person


def presubmit(person: Person, schedule_id: Any, serial_no: Any = 1) -> ApiResponse:
    return post(f"{BOOKING_PATH}/book/presubmit", person.token, scheduleId=schedule_id, serialNo=serial_no)


def check_half_day(person: Person, schedule_id: Any, member_id: Any = None) -> ApiResponse:
    member = person.member_id if member_id is None else member_id
    return post(f"{BOOKING_PATH}/book/schedule", person.token, scheduleId=schedule_id, memberId=member)


def test_presubmit_returns_the_confirm_page(department: BookingDepartment, lin: Person) -> None:
    common_fields = {
        "deptId": str(department.dept_id),
        "deptName": "呼吸内科",
        "type": 1,
        "doctor": "陈医生",
        "bookfee": 12.5,
    }
    schedule_id = department.create_schedule(**AFTERNOON)
    for _ in range(2):  # nothing is reserved
        assert presubmit(lin, schedule_id, 2).data == {**common_fields, "appoTime": f"{get_iso_date(1)} 15:00:00"}
    clinic = department.create_schedule(doctor_id="", type=0, bookfee=0)
    assert presubmit(lin, clinic).data["doctor"] is None
    assert list_rows("bookings", department.hospital) == []


def test_submit_books_a_slot(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id, 2)
    [row] = list_rows("bookings", department.hospital)
    assert (str(row["book_id"]), row["serial_no"], row["status"], row["live"]) == (book_id, 2, 0, 1)
    assert row["book_code"].startswith(get_iso_date(1).replace("-", ""))
    assert department.list_free_serial_nos(schedule_id) == [1, 3, 4]


def test_repeated_request_returns_the_same_booking(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    assert department.book_slot(lin, schedule_id) == department.book_slot(lin, schedule_id)
    assert len(list_rows("bookings", department.hospital)) == 1
    assert len(list_rows("outbox", department.hospital)) == 1


def test_late_duplicate_request_does_not_rebook(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.submit(lin, schedule_id, key="k1").data["bookId"]
    department.cancel(lin, book_id)
    assert department.submit(lin, schedule_id, key="k1").data["bookId"] == book_id
    assert [row["status"] for row in list_rows("bookings", department.hospital)] == [1]
    assert department.submit(lin, schedule_id, key="k2").data["bookId"] != book_id, "a new key is a new request"


def test_idempotency_key_belongs_to_one_request_of_one_account(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id, other = department.create_schedule(), department.create_schedule(**AFTERNOON)
    department.submit(lin, schedule_id, 1, key="k1")
    for slot in ((schedule_id, 2), (other, 1)):
        response = department.submit(lin, *slot, key="k1")
        assert (response.status, response.error) == (409, "Idempotency-Key：已用于另一次预约")
    assert department.submit(wang, schedule_id, 2, key="k1").status == 200
    assert len(list_rows("bookings", department.hospital)) == 2


def test_reserved_slot_error_names_free_slots(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)
    for response in (department.submit(wang, schedule_id, 2), presubmit(wang, schedule_id, 2)):
        assert (response.status, response.code) == (409, 10005)
        assert response.error == "2号已被预约，还可预约：1号 08:00、3号 10:00、4号 11:00"
    long_schedule = department.create_schedule(**{**AFTERNOON, "slots": 9, "doctor_id": ""})
    department.book_slot(lin, long_schedule, 1)
    assert department.submit(wang, long_schedule, 1).error.endswith("、6号 15:40 等 8 个号")


def test_full_half_day_is_reported(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule(slots=1)
    department.book_slot(lin, schedule_id)
    assert department.submit(wang, schedule_id).error == "1号已被预约，该半天已约满，可加入候补"
    query = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id}
    assert department.get_public("schedule_by_doctor", deptId=department.dept_id).data["list"][0]["status"] == 2
    assert department.get_public("schedule/info", **query).data[0]["leftBookCountList"] == [
        {"date": get_iso_date(1), "leftCount": 0}
    ]


def test_patient_has_one_booking_in_a_half_day(department: BookingDepartment, lin: Person) -> None:
    morning = department.create_schedule()
    other_doctor = department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    assert check_half_day(lin, other_doctor).data is None
    department.book_slot(lin, morning)
    second_account = create_second_account(department, lin)
    for person, place in ((lin, "呼吸内科 陈医生"), (second_account, "其他账号预约")):
        expected = (
            f"就诊人已有预约 {get_iso_date(1)} 08:00（{place}），"
            "同一半天只能预约一次，请选择其他半天，或先取消、改期该预约"
        )
        for response in (department.submit(person, other_doctor), check_half_day(person, other_doctor)):
            assert (response.status, response.error) == (409, expected)
    assert department.submit(second_account, morning).status == 409, "same patient, booking of another account"
    assert len(list_rows("bookings", department.hospital)) == 1


def test_patient_has_one_booking_with_a_doctor_on_a_day(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule())
    afternoon = department.create_schedule(**AFTERNOON)
    for response in (department.submit(lin, afternoon), check_half_day(lin, afternoon)):
        expected = (
            f"就诊人已有预约 {get_iso_date(1)} 08:00（呼吸内科 陈医生），"
            "同一医生一天只能预约一次，请选择其他日期，或先取消、改期该预约"
        )
        assert (response.status, response.error) == (409, expected)
    department.book_slot(
        lin, department.create_schedule(**{**AFTERNOON, "doctor_id": department.hospital.zhou.user_id})
    )
    department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))


def test_general_clinics_of_both_half_days_do_not_conflict(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule(doctor_id=""))
    department.book_slot(lin, department.create_schedule(**{**AFTERNOON, "doctor_id": ""}))


@pytest.mark.parametrize("serial_no", [0, -1, 5, 501, "x", "", None, 1.5, True, "1; DROP TABLE bookings"])
def test_unknown_slot_is_rejected(department: BookingDepartment, lin: Person, serial_no: Any) -> None:
    schedule_id = department.create_schedule()
    for response in (department.submit(lin, schedule_id, serial_no), presubmit(lin, schedule_id, serial_no)):
        assert (response.status, response.code) == (400, 10001)
        assert response.error.startswith("serialNo：")
    assert list_rows("bookings", department.hospital) == []


ID_FIELDS = {
    "presubmit": ("scheduleId",),
    "submit": ("scheduleId", "memberId"),
    "schedule": ("scheduleId", "memberId"),
}


@pytest.mark.parametrize("value", ["x", "", None, 0, True, 2**53])
@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in ID_FIELDS.items() for name in names])
def test_invalid_field_is_named(department: BookingDepartment, lin: Person, path: str, name: str, value: Any) -> None:
    body = {"scheduleId": department.create_schedule(), "serialNo": 1, "memberId": lin.member_id, name: value}
    response = post(f"{BOOKING_PATH}/book/{path}", lin.token, **body)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, name)
    assert list_rows("bookings", department.hospital) == []


@pytest.mark.parametrize(("path", "names"), ID_FIELDS.items())
def test_missing_fields_are_named(lin: Person, path: str, names: tuple[str, ...]) -> None:
    error = post(f"{BOOKING_PATH}/book/{path}", lin.token).error
    missing = {*names, "serialNo"} if "submit" in path else {*names}
    assert set(error.split("；")) == {f"{name}：必填" for name in missing}


def test_both_spellings_and_numbers_as_text_are_accepted(department: BookingDepartment, lin: Person) -> None:
    schedule_id, member_id = department.create_schedule(), lin.member_id
    snake: dict[str, Any] = {"schedule_id": int(schedule_id), "serial_no": "2", "member_id": str(member_id)}
    assert post(f"{BOOKING_PATH}/book/schedule", lin.token, **snake).data is None
    assert post(f"{BOOKING_PATH}/book/presubmit", lin.token, **snake).data == presubmit(lin, schedule_id, 2).data
    booked = post(f"{BOOKING_PATH}/book/submit", lin.token, **snake).data["bookId"]
    assert booked == department.book_slot(lin, schedule_id, 2)


def test_members_and_schedules_of_others_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id, other_tenants = department.create_schedule(), other_department.create_schedule()
    for response in (
        department.submit(lin, other_tenants),
        presubmit(lin, other_tenants),
        check_half_day(lin, other_tenants),
        department.submit(lin, schedule_id, member_id=wang.member_id),
        department.submit(lin, schedule_id, member_id=other_department.hospital.lin.member_id),
        check_half_day(lin, schedule_id, member_id=wang.member_id),
        check_half_day(lin, schedule_id, member_id=other_department.hospital.lin.member_id),
        *(send(lin, 999_999_999) for send in (department.submit, presubmit, check_half_day)),
    ):
        assert (response.status, response.code) == (404, 10004)
    assert list_rows("bookings", department.hospital) == list_rows("bookings", other_department.hospital) == []


def test_member_without_patient_file_cannot_book(department: BookingDepartment, lin: Person) -> None:
    child = factories.add_member(lin, "林小宝")
    schedule_id = department.create_schedule()
    for response in (
        department.submit(lin, schedule_id, member_id=child),
        check_half_day(lin, schedule_id, member_id=child),
    ):
        assert (response.status, response.error) == (409, "就诊人尚未建档，请先完善身份信息")
    assert list_rows("bookings", department.hospital) == []


def test_presubmit_reports_a_slot_that_the_account_has_booked(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 2)
    response = presubmit(lin, schedule_id, 2)
    assert (response.status, response.error) == (409, "您已预约2号，请查看预约记录")


def test_presubmit_rejects_a_stopped_schedule(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    department.stop_schedule(schedule_id)
    response = presubmit(lin, schedule_id)
    assert (response.status, response.error) == (409, "该排班已停诊")


def test_slot_booked_for_one_member_is_reserved_for_another(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    child = replace(lin, member_id=factories.add_member(lin, "林小宝"))
    factories.create_patient_file(child, "林小宝")
    department.book_slot(lin, schedule_id, 1)
    assert department.submit(child, schedule_id, 1).error == "1号已被预约，还可预约：2号 09:00、3号 10:00、4号 11:00"
    book_id = department.book_slot(child, schedule_id, 2)
    assert department.get_booking(lin, book_id).data["memberName"] == "林小宝"


def test_past_and_future_slots_are_rejected(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_far_day = get_iso_date(15)
    today, too_far = department.create_schedule(date=get_iso_date(0)), department.create_schedule(date=too_far_day)
    for response in (department.submit(lin, too_far), presubmit(lin, too_far)):
        assert (response.status, response.error) == (409, "该号源尚未开放，只能预约今天起 14 天内的号源")
    freeze_clock(monkeypatch, "10:00")
    for response in (department.submit(lin, today, 3), presubmit(lin, today, 3)):
        assert (response.status, response.error) == (409, "3号的就诊时间已过，还可预约：4号 11:00")
    department.book_slot(lin, today, 4)
    freeze_clock(monkeypatch, "00:00", ahead=1)
    other = f"{too_far_day} 上午（陈医生）"
    assert department.submit(lin, today, 3).error == f"3号的就诊时间已过，该半天已约满，可改约 {other}"


def test_doctor_who_left_cannot_be_booked(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id, chen = department.create_schedule(), department.hospital.chen
    book_id = department.book_slot(lin, schedule_id)
    mysql.run_transaction(lambda tx: staff.set_disabled(tx, chen.tenant_id, chen.user_id, True))
    for response in (department.submit(wang, schedule_id, 2), presubmit(wang, schedule_id, 2)):
        assert (response.status, response.error) == (409, "该排班已停诊")
    assert department.book_slot(lin, schedule_id) == book_id, "a repeated request"
    assert len(list_rows("bookings", department.hospital)) == 1


def test_daily_limit_counts_cancelled_bookings(
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


def test_duplicate_book_code_is_replaced(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([7, 7, 7, 8])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(draws))
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 1)
    department.book_slot(wang, schedule_id, 2)
    assert [row["book_code"][8:] for row in list_rows("bookings", department.hospital)] == ["000007", "000008"]


def test_booking_at_midnight_counts_toward_the_new_day(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(daily_limit=1)
    schedule_id = department.create_schedule(date=get_iso_date(2))
    freeze_clock(monkeypatch, "00:00", ahead=1)
    department.cancel(lin, department.book_slot(lin, schedule_id))
    assert department.submit(lin, schedule_id).error == "就诊人今天已预约 1 次，请明天再试"


def test_book_code_is_drawn_at_most_ten_times(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws: list[int] = []

    def draw(most: int) -> int:
        draws.append(most)
        return 7

    monkeypatch.setattr("secrets.randbelow", draw)
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id, 1)
    assert department.submit(wang, schedule_id, 2).status != 200
    assert len(draws) == 1 + 10
    assert len(list_rows("bookings", department.hospital)) == 1
