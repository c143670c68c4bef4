"""Check-in by the code of the department and at the front desk, and the codes."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.schedules import schedule_store
from chalicelib.notifications.event_types import EventType
from tests.support import booking_client, factories, front_desk_client, queue_client
from tests.support.booking_client import (
    STAFF_PATH,
    BookingDepartment,
    create_second_account,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
)
from tests.support.client import get, post
from tests.support.factories import Person
from tests.support.id_numbers import build_unused_id_number
from tests.support.queue_client import check_in, get_place
from tests.support.threads import run_in_threads


@pytest.fixture
def code(department: BookingDepartment) -> str:
    return queue_client.replace_code(department)


@pytest.fixture
def visit(department: BookingDepartment, lin: Person, code: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Book Lin's slot of 09:00 and wait for that day, 08:30; return the bookId."""
    assert code
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    freeze_clock(monkeypatch, "08:30", ahead=1)
    return book_id


def get_checked_in_times(department: BookingDepartment) -> list[int]:
    return [row["checked_in_at"] for row in list_rows("queue_entries", department.hospital)]


def test_check_in_by_code_registers_as_the_desk_does(
    department: BookingDepartment, lin: Person, code: str, visit: str
) -> None:
    expected = {
        "bookId": visit,
        "state": "waiting",
        "before": 0,
        "visiSerialno": "2",
        "treaArea": "A 区",
        "checkinFrom": f"{get_iso_date(0)} 08:00:00",
        "checkinUntil": f"{get_iso_date(0)} 12:00:00",
    }
    for _ in range(2):  # a double click
        assert check_in(lin, visit, code).data == expected
    assert get_place(lin, visit).data == expected
    assert department.get_status(lin, visit) == 2
    [row] = list_rows("bookings", department.hospital)
    assert (row["changed_by"], row["seen_at"]) == (lin.user_id, None)
    assert str(list_rows("patients", department.hospital)[0]["trea_id"]) == visit
    events = [one for one in department.list_notification_jobs() if one[1] == EventType.BOOKING_REGISTERED]
    assert events == [(lin.user_id, EventType.BOOKING_REGISTERED, int(visit))]
    assert len(get_checked_in_times(department)) == 1


def test_registration_at_the_desk_checks_in(department: BookingDepartment, lin: Person, visit: str) -> None:
    assert get_place(lin, visit).data["state"] == ""
    for _ in range(2):
        assert department.register(book_id=visit).data["visi_serialno"] == "2"
    assert (get_place(lin, visit).data["state"], len(get_checked_in_times(department))) == ("waiting", 1)


def test_place_before_check_in(department: BookingDepartment, lin: Person, visit: str) -> None:
    department.save_rules(checkin_minutes=600)
    place = get_place(lin, visit).data
    assert (place["state"], place["before"], place["visiSerialno"]) == ("", None, "")
    assert place["checkinFrom"] == f"{get_iso_date(0)} 00:00:00", "on the day of the visit only"


@pytest.mark.parametrize(
    ("time", "ahead", "error"),
    [
        ("07:59", 1, "08:00 起可签到"),
        ("12:00", 1, "该半天已结束，不能扫码签到，请到前台办理"),
        ("23:59", 0, "只能在就诊当天（{day}）挂号"),
        ("00:00", 2, "只能在就诊当天（{day}）挂号"),
    ],
)
def test_code_checks_in_at_its_time_only(
    department: BookingDepartment,
    lin: Person,
    code: str,
    time: str,
    ahead: int,
    error: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = get_iso_date(1)
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    freeze_clock(monkeypatch, time, ahead)
    response = check_in(lin, book_id, code)
    assert (response.status, response.error) == (409, error.format(day=day))
    assert department.get_status(lin, book_id) == 0


@pytest.mark.parametrize("time", ["08:00", "11:59"])
def test_first_and_last_minute_of_check_in(
    department: BookingDepartment, lin: Person, code: str, time: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    freeze_clock(monkeypatch, time, 1)
    assert check_in(lin, book_id, code).data["state"] == "waiting"


def test_unverified_patients_check_in_at_the_desk(
    department: BookingDepartment, wang: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = front_desk_client.declare(wang, build_unused_id_number())
    book_id = department.book_slot(declared.person, department.create_schedule())
    freeze_clock(monkeypatch, "07:30", ahead=1)
    response = check_in(wang, book_id, code)
    assert (response.status, response.error) == (409, "就诊人身份未核验，请持证件到前台核验并签到")
    assert department.register(book_id=book_id, document_checked=True).status == 200
    assert get_place(wang, book_id).data["state"] == "waiting"
    assert front_desk_client.get_file(declared.pati_id)["status"] == "verified"


def test_unpaid_booking_is_to_be_paid_first(
    department: BookingDepartment, lin: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=10_080)
    book_id = department.book_slot(lin, department.create_schedule())
    freeze_clock(monkeypatch, "07:30", ahead=1)
    response = check_in(lin, book_id, code)
    error = "请先在线支付挂号费 12.5 元，再签到；也可到收费处缴费后在前台签到"
    assert (response.status, response.error) == (409, error)
    mark_paid(book_id)
    assert check_in(lin, book_id, code).status == 200


def test_booking_that_the_waitlist_gave_is_to_be_confirmed_first(
    department: BookingDepartment, lin: Person, code: str, visit: str
) -> None:
    mysql.autocommit.execute("UPDATE bookings SET confirm_by = 1 WHERE book_id = %(id)s", id=visit)
    response = check_in(lin, visit, code)
    assert (response.status, response.error) == (409, "请先确认候补到的号，再签到")
    mark_paid(visit)
    assert check_in(lin, visit, code).status == 200
    assert department.get_status(lin, visit) == 2


def test_cancelled_booking_or_stopped_schedule_is_not_checked_in(
    department: BookingDepartment, lin: Person, wang: Person, code: str, visit: str
) -> None:
    department.cancel(lin, visit)
    assert check_in(lin, visit, code).error == "该预约已取消或已失约"
    [row] = list_rows("schedules", department.hospital)
    other = department.book_slot(wang, row["schedule_id"], 3)
    schedule_store.stop(mysql.autocommit, lin.tenant_id, row["schedule_id"], 1)  # its job has not run
    assert check_in(wang, other, code).error == "该排班已停诊"
    assert get_checked_in_times(department) == []


def test_others_do_not_check_in(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person, code: str, visit: str
) -> None:
    stranger = other_department.hospital.lin
    relative = create_second_account(department, lin)
    for person in (wang, stranger, relative):
        responses = [check_in(person, visit, code), get_place(person, visit), check_in(person, 999_999_999, code)]
        assert {(one.status, one.error) for one in responses} == {(404, "预约不存在")}
    staff = (department.hospital.desk, department.hospital.chen)
    assert {check_in(one, visit, code).status for one in staff} == {403}
    assert {get_place(one, visit).status for one in staff} == {403}
    assert list_rows("attempts", department.hospital) == [], "an unknown booking is no wrong code"


@pytest.mark.parametrize("field", ["bookId", "code"])
@pytest.mark.parametrize("value", [None, "", 0, [], "x" * 65])
def test_invalid_field_is_named(lin: Person, field: str, value: Any) -> None:
    body = {"bookId": "1", "code": "x", field: value}
    response = post(f"{booking_client.BOOKING_PATH}/book/check_in", lin.token, **body)
    assert (response.status, response.error.partition("：")[0]) == (400, field)
    if field == "bookId":
        assert get_place(lin, "x" if value is None else value).status == 400


def test_wrong_codes_are_limited_for_each_account(
    department: BookingDepartment, lin: Person, wang: Person, code: str, visit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = list_rows("schedules", department.hospital)
    other = department.book_slot(wang, row["schedule_id"], 3)
    department.save_rules(checkin_minutes=120)
    dentistry = booking_client.create_department(department.hospital, "口腔科")
    for wrong in ("x", code.swapcase(), f"{code} ", "签到码", queue_client.replace_code(dentistry)):
        response = check_in(lin, visit, wrong)
        assert (response.status, response.error.partition("，")[0]) == (409, "签到码不正确或已更换")
    assert [check_in(lin, visit, one).status for one in ("x", code)] == [429, 429]
    assert department.get_status(lin, visit) == 0
    assert check_in(wang, other, code).status == 200
    freeze_clock(monkeypatch, "08:46", ahead=0)
    assert check_in(lin, visit, code).status == 200
    assert check_in(lin, visit, "x").status == 409, "the right code has cleared the failures"


def test_department_without_a_code_checks_in_at_the_desk(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    freeze_clock(monkeypatch, "07:30", ahead=1)
    assert check_in(lin, book_id, "").status == 400
    assert check_in(lin, book_id, "x").error == "该科室未启用扫码签到，请到前台签到"


def test_checked_in_patient_is_never_missed(
    department: BookingDepartment, lin: Person, wang: Person, code: str, visit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one who was called, did not come, and did not return."""
    [row] = list_rows("schedules", department.hospital)
    absent = department.book_slot(wang, row["schedule_id"], 3)
    check_in(lin, visit, code)
    queue = queue_client.QueueClient(department, str(row["schedule_id"]))
    queue.call_next()
    queue.skip(visit)
    freeze_clock(monkeypatch, "00:30", ahead=1)
    scheduled.mark_missed()
    assert [department.get_status(lin, visit), department.get_status(wang, absent)] == [2, 3]
    assert get_place(lin, visit).data["state"] == "ended"


@pytest.mark.usefixtures("frozen_clock")
def test_code_is_shown_and_replaced_by_service_staff(department: BookingDepartment) -> None:
    desk, admin, path = department.hospital.desk, department.hospital.admin, f"{STAFF_PATH}/checkin_code"
    query: dict[str, Any] = {"dept_id": department.dept_id}
    none = {"dept_id": str(department.dept_id), "code": "", "changed_time": None}
    assert get(path, desk.token, **query).data == none
    first = queue_client.replace_code(department)
    assert len(first) == 16
    assert queue_client.replace_code(department) == first, "a double click replaces it once"
    assert get(path, admin.token, **query).data["code"] == first
    assert queue_client.replace_code(department, admin) != first
    staff = (department.hospital.chen, department.hospital.lin)
    assert {get(path, one.token, **query).status for one in staff} == {403}
    assert {post(f"{STAFF_PATH}/replace_checkin_code", one.token, **query).status for one in staff} == {403}


def test_earlier_code_is_invalid(
    department: BookingDepartment, lin: Person, code: str, visit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_clock(monkeypatch, "08:31")
    new = queue_client.replace_code(department)
    assert [check_in(lin, visit, one).status for one in (code, new)] == [409, 200]


def test_code_of_another_hospital_is_not_found(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    code = queue_client.replace_code(department)
    for dept_id in (department.dept_id, 999_999_999):
        stranger = other_department.hospital.desk.token
        responses = [
            get(f"{STAFF_PATH}/checkin_code", stranger, dept_id=dept_id),
            post(f"{STAFF_PATH}/replace_checkin_code", stranger, dept_id=dept_id),
        ]
        assert [(one.status, one.error) for one in responses] == [(404, "科室不存在")] * 2
    own = get(f"{STAFF_PATH}/checkin_code", department.hospital.desk.token, dept_id=department.dept_id)
    assert own.data["code"] == code


@pytest.mark.parametrize("dept_id", [None, "", "x", -1])
def test_invalid_department_is_named(department: BookingDepartment, dept_id: Any) -> None:
    token, body = department.hospital.desk.token, {} if dept_id is None else {"dept_id": dept_id}
    responses = [get(f"{STAFF_PATH}/checkin_code", token, **body)]
    responses += [post(f"{STAFF_PATH}/replace_checkin_code", token, **body)]
    assert {(one.status, one.error.partition("：")[0]) for one in responses} == {(400, "dept_id")}


@pytest.mark.store
def test_concurrent_check_ins_are_one(department: BookingDepartment, lin: Person, code: str, visit: str) -> None:
    calls: list[Any] = [lambda: check_in(lin, visit, code)] * 4 + [lambda: department.register(book_id=visit)] * 4
    assert {one.status for one in run_in_threads(calls)} == {200}
    assert len(get_checked_in_times(department)) == 1
    events = [one for one in department.list_notification_jobs() if one[1] == EventType.BOOKING_REGISTERED]
    assert len(events) == 1


def test_member_of_a_family_checks_in_for_another(
    department: BookingDepartment, lin: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = factories.add_member(lin, "林小宝")
    other = factories.Person(lin.tenant_id, lin.user_id, lin.phone, lin.role, child)
    factories.create_patient_file(other, "林小宝")
    schedule_id = department.create_schedule()
    book_id = str(department.submit(lin, schedule_id, 1, child).data["bookId"])
    freeze_clock(monkeypatch, "07:30", ahead=1)
    assert check_in(lin, book_id, code).data["state"] == "waiting"
