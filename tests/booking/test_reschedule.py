"""book/reschedule and reschedule_booking. Concurrent requests are in test_reschedule_races.py."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import scheduled, site_messages
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support.booking_client import (
    AFTERNOON,
    BOOKING_PATH,
    STAFF_PATH,
    BookingDepartment,
    create_patient,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
)
from tests.support.client import post
from tests.support.factories import Person
from tests.support.inbox_client import list_texts
from tests.support.wechat_notifications import list_jobs

BODY = {"bookId": 1, "scheduleId": 1, "serialNo": 1}


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def afternoon(department: BookingDepartment) -> str:
    return department.create_schedule(**AFTERNOON)


def get_booking_row(department: BookingDepartment, book_id: str) -> dict[str, Any]:
    [row] = [one for one in list_rows("bookings", department.hospital) if str(one["book_id"]) == book_id]
    return row


def test_booking_moves_to_another_slot(department: BookingDepartment, lin: Person, wang: Person) -> None:
    morning, other_day = department.create_schedule(), department.create_schedule(**AFTERNOON, date=get_iso_date(3))
    book_id = department.book_slot(lin, morning, 2)
    before = department.get_booking(lin, book_id).data
    for _ in range(2):  # a double click
        moved = department.reschedule(lin, book_id, other_day, 3).data
        assert moved == {"bookId": book_id, "treaTime": f"{get_iso_date(3)} 16:00:00", "treaNo": 3}
    after = department.get_booking(lin, book_id).data
    assert after == {**before, "treaTime": f"{get_iso_date(3)} 16:00:00", "treaNo": 3}
    assert department.list_free_serial_nos(morning) == [1, 2, 3, 4]
    assert department.list_free_serial_nos(other_day) == [1, 2]
    department.book_slot(wang, morning, 2)
    [change] = list_rows("booking_changes", department.hospital)
    assert (change["number"], change["old_serial_no"], change["serial_no"]) == (1, 2, 3)
    assert change["changed_by"] == lin.user_id


def test_slot_of_the_same_half_day_can_be_taken(department: BookingDepartment, lin: Person, afternoon: str) -> None:
    morning = department.create_schedule()
    book_id = department.book_slot(lin, morning, 2)
    assert department.reschedule(lin, book_id, morning, 3).status == 200
    assert department.reschedule(lin, book_id, afternoon).status == 200, "the same doctor on the same day"
    other_doctor = department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    assert department.reschedule(lin, book_id, other_doctor).data["treaTime"] == f"{get_iso_date(1)} 08:00:00"
    assert department.get_booking(lin, book_id).data["doctorName"] == "周医生"
    assert department.list_free_serial_nos(morning) == [1, 2, 3, 4]


def test_reserved_slot_is_not_taken(department: BookingDepartment, lin: Person, wang: Person, afternoon: str) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    department.book_slot(wang, afternoon, 2)
    response = department.reschedule(lin, book_id, afternoon, 2)
    assert (response.status, response.error) == (409, "2号已被预约，还可预约：1号 14:00、3号 16:00")
    assert get_booking_row(department, book_id)["serial_no"] == 1


def test_another_fee_is_rejected(department: BookingDepartment, lin: Person) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    dearer = department.create_schedule(**{**AFTERNOON, "bookfee": 50})
    for response in (department.reschedule(lin, book_id, dearer), department.reschedule_as_desk(book_id, dearer)):
        expected = "该号源挂号费 50 元，原预约 12.5 元，费用不同不能改期，请取消后重新预约"
        assert (response.status, response.error) == (409, expected)


def test_conflicts_with_other_bookings_are_named(department: BookingDepartment, lin: Person, afternoon: str) -> None:
    zhou = department.hospital.zhou.user_id
    book_id = department.book_slot(lin, department.create_schedule())
    department.book_slot(lin, department.create_schedule(**{**AFTERNOON, "doctor_id": zhou}))
    expected = (
        f"就诊人已有预约 {get_iso_date(1)} 14:00（呼吸内科 周医生），"
        "同一半天只能预约一次，请选择其他半天，或先取消、改期该预约"
    )
    for response in (department.reschedule(lin, book_id, afternoon), department.reschedule_as_desk(book_id, afternoon)):
        assert (response.status, response.error) == (409, expected)


def test_rules_of_booking_apply_to_the_new_slot(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))
    today, stopped = department.create_schedule(date=get_iso_date(0)), department.create_schedule()
    too_far = department.create_schedule(date=get_iso_date(15))
    department.stop_schedule(stopped)
    assert department.reschedule(lin, book_id, stopped).error.startswith("该排班已停诊，可改约 ")
    assert department.reschedule(lin, book_id, too_far).error.startswith("该号源尚未开放")
    assert department.reschedule(lin, book_id, today, 5).error == "serialNo：不能大于 4"
    freeze_clock(monkeypatch, "09:30")
    assert department.reschedule(lin, book_id, today, 2).error.startswith("2号的就诊时间已过，还可预约：3号")
    assert department.reschedule(lin, book_id, 999_999_999).status == 404


def test_deadline_of_cancelling_applies_to_patients(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(cancel_minutes=60)
    book_id, later = department.book_slot(lin, department.create_schedule()), department.create_schedule(**AFTERNOON)
    freeze_clock(monkeypatch, "07:30", ahead=1)
    assert department.reschedule(lin, book_id, later).error == "已过就诊前 60 分钟，不能改期，如需办理请联系医院前台"
    assert department.reschedule_as_desk(book_id, later).status == 200
    freeze_clock(monkeypatch, "07:30", ahead=2)
    next_day = department.create_schedule(date=get_iso_date(5))
    assert department.reschedule_as_desk(book_id, next_day).error == "就诊日已过，不能改期，请重新预约"


def test_patients_can_reschedule_so_often(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(reschedule_limit=1)
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    assert department.reschedule_as_desk(book_id, schedule_id, 2).status == 200, "does not count"
    assert department.reschedule(lin, book_id, schedule_id, 3).status == 200
    assert department.reschedule(lin, book_id, schedule_id, 4).error == "每个预约最多改期 1 次，请取消后重新预约"
    assert department.reschedule_as_desk(book_id, schedule_id, 1).status == 200
    department.save_rules(reschedule_limit=0)
    assert department.reschedule(lin, book_id, schedule_id, 4).error == "本院不支持改期，请取消后重新预约"


def test_rescheduling_is_no_further_booking_of_the_day(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(daily_limit=1)
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    assert department.reschedule(lin, book_id, schedule_id, 2).status == 200


def test_missed_visits_prevent_rescheduling(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(missed_limit=1)
    missed = department.book_slot(lin, department.create_schedule(date=get_iso_date(3)))
    book_id = department.book_slot(lin, department.create_schedule())
    mysql.autocommit.execute("UPDATE bookings SET status = 3 WHERE book_id = %(id)s", id=missed)
    later = department.create_schedule(date=get_iso_date(2))
    assert department.reschedule(lin, book_id, later).status == 403
    assert department.reschedule_as_desk(book_id, later).status == 200


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (1, "该预约已取消，请重新预约"),
        (2, "该预约已挂号或已失约，不能改期，如需再次就诊请重新预约"),
        (3, "该预约已挂号或已失约，不能改期，如需再次就诊请重新预约"),
    ],
)
def test_only_booked_ones_can_be_rescheduled(
    department: BookingDepartment, lin: Person, status: int, error: str
) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    mysql.autocommit.execute("UPDATE bookings SET status = %(s)s WHERE book_id = %(id)s", id=book_id, s=status)
    responses = (
        department.reschedule(lin, book_id, schedule_id, 2),
        department.reschedule_as_desk(book_id, schedule_id),
    )
    assert {(one.status, one.error) for one in responses} == {(409, error)}


def test_unpaid_booking_keeps_its_deadline(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule()
    freeze_clock(monkeypatch, "10:00")
    book_id = department.book_slot(lin, schedule_id)
    deadline = get_booking_row(department, book_id)["pay_by"]
    freeze_clock(monkeypatch, "10:29")
    assert department.reschedule(lin, book_id, schedule_id, 2).status == 200
    assert get_booking_row(department, book_id)["pay_by"] == deadline
    freeze_clock(monkeypatch, "10:30")
    assert department.reschedule(lin, book_id, schedule_id, 3).error == "已过支付期限，不能改期，请重新预约"
    mark_paid(book_id)
    assert department.reschedule(lin, book_id, schedule_id, 3).status == 200


def test_others_and_unknown_bookings_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id, elsewhere = department.create_schedule(), other_department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    foreign = other_department.book_slot(create_patient(other_department, 1), elsewhere)
    for response in (
        department.reschedule(wang, book_id, schedule_id, 2),
        department.reschedule(lin, foreign, schedule_id, 2),
        department.reschedule(lin, book_id, elsewhere, 2),
        department.reschedule_as_desk(foreign, schedule_id, 2),
        department.reschedule_as_desk(book_id, elsewhere, 2),
    ):
        assert (response.status, response.code) == (404, 10004)
    assert list_rows("booking_changes", department.hospital) == []


@pytest.mark.parametrize("path", [f"{BOOKING_PATH}/book/reschedule", f"{STAFF_PATH}/reschedule_booking"])
@pytest.mark.parametrize("name", BODY)
@pytest.mark.parametrize("value", ["x", "", None, 0, True, 2**53])
def test_invalid_field_is_named(department: BookingDepartment, path: str, name: str, value: Any) -> None:
    hospital = department.hospital
    token = hospital.lin.token if "book_service" in path else hospital.desk.token
    response = post(path, token, **{**BODY, name: value})
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, name)


def test_late_duplicate_does_not_move_the_booking_back(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    assert department.reschedule(lin, book_id, schedule_id, 2, key="k1").data["treaNo"] == 2
    assert department.reschedule(lin, book_id, schedule_id, 3, key="k2").data["treaNo"] == 3
    assert department.reschedule(lin, book_id, schedule_id, 2, key="k1").data["treaNo"] == 3
    response = department.reschedule(lin, book_id, schedule_id, 4, key="k1")
    assert (response.status, response.error) == (409, "Idempotency-Key：已用于另一次改期")


def test_late_duplicate_of_the_booking_finds_the_rescheduled_one(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.submit(lin, schedule_id, 1, key="k1").data["bookId"]
    for serial_no in (2, 3):
        department.reschedule(lin, book_id, schedule_id, serial_no)
    assert department.submit(lin, schedule_id, 1, key="k1").data["bookId"] == book_id
    assert department.submit(lin, schedule_id, 3, key="k1").error == "Idempotency-Key：已用于另一次预约"


def test_stopped_schedule_can_be_left(department: BookingDepartment, lin: Person, afternoon: str) -> None:
    """A patient leaves a stopped schedule before its job has cancelled the booking, which then keeps its slot."""
    morning = department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    book_id = department.book_slot(lin, morning)
    department.stop_schedule(morning)
    assert department.reschedule(lin, book_id, afternoon).status == 200
    while outbox.run_due_jobs():
        pass
    assert department.get_status(lin, book_id) == 0


def test_changes_are_reported_each(department: BookingDepartment, lin: Person, afternoon: str) -> None:
    morning = department.create_schedule()
    book_id = department.book_slot(lin, morning)

    def deliver() -> list[str]:
        for payload in list_jobs(department, "notify_booking"):
            site_messages.notify_holder(lin.tenant_id, payload)
        return list_texts(lin)

    department.reschedule(lin, book_id, morning, 2)
    department.reschedule(lin, book_id, afternoon, 1)
    texts = deliver()
    where = "呼吸内科 陈医生（原 {}）。候诊地点：A 区。请按时就诊。"
    assert texts[0] == f"改期成功：林小雨，{get_iso_date(1)} 14:00，" + where.format(f"{get_iso_date(1)} 09:00")
    assert len(texts) == 2, "not the first change, which no longer holds"
    department.reschedule_as_desk(book_id, morning, 3)
    assert deliver()[0].startswith(f"医院为您调整了就诊时间：林小雨，{get_iso_date(1)} 10:00，")
    assert [one[1] for one in department.list_notification_jobs()] == [
        EventType.BOOKING_MADE,
        EventType.BOOKING_RESCHEDULED,
        EventType.BOOKING_RESCHEDULED,
        EventType.BOOKING_MOVED,
    ]


def test_reminder_is_sent_for_the_new_day(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = department.create_schedule(date=get_iso_date(2))
    book_id = department.book_slot(lin, department.create_schedule())
    freeze_clock(monkeypatch, "18:00")
    scheduled.send_reminders()
    assert department.reschedule(lin, book_id, later).status == 200
    freeze_clock(monkeypatch, "18:00", ahead=1)
    scheduled.send_reminders()
    reminders = [one for one in department.list_notification_jobs() if one[1] == EventType.BOOKING_REMINDER]
    assert len(reminders) == 2
