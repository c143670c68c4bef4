"""Staff book for patients: book_for_patient, add_booking, cancel_booking, record_receipt."""

from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.jobs import scheduled
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support import factories, front_desk_client, staff_client
from tests.support.booking_client import (
    AFTERNOON,
    STAFF_PATH,
    BookingDepartment,
    create_second_account,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
    set_status,
)
from tests.support.client import get, post
from tests.support.factories import Person
from tests.support.threads import run_in_threads


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def get_file(person: Person) -> int:
    found = mysql.autocommit.fetch_value("SELECT pati_id FROM members WHERE member_id = %(id)s", id=person.member_id)
    return int(found)


@pytest.fixture
def walk_in(department: BookingDepartment) -> str:
    """A patient file that no account has."""
    return staff_client.create_patient_file(department.hospital.desk, pati_name="赵大爷")


def test_desk_books_for_a_patient_with_an_account(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    booked = [department.book_for_patient(get_file(lin), schedule_id, 2).data for _ in range(2)]
    assert booked[0] == booked[1]
    assert (booked[0]["serial_no"], booked[0]["time"]) == (2, f"{get_iso_date(1)} 09:00:00")
    assert booked[0]["has_account"] is True
    assert department.get_booking(lin, booked[0]["book_id"]).data["bookCode"] == booked[0]["book_code"]
    assert department.list_notification_jobs() == [(lin.user_id, EventType.BOOKING_MADE, int(booked[0]["book_id"]))]
    [row] = list_rows("bookings", department.hospital)
    assert (row["origin"], row["booked_by"]) == ("desk", department.hospital.desk.user_id)


def test_patient_without_an_account_is_booked_registered_and_cancelled(
    department: BookingDepartment, walk_in: str, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule()
    book_id = department.book_for_patient(walk_in, schedule_id).data["book_id"]
    [row] = list_rows("bookings", department.hospital)
    assert (row["user_id"], row["member_id"], row["pay_by"]) == (None, None, None)
    assert department.submit(lin, schedule_id, 1).status == 409
    assert department.get_booking(lin, book_id).status == department.cancel(lin, book_id).status == 404
    other = department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    expected = (
        f"就诊人已有预约 {get_iso_date(1)} 08:00（呼吸内科 陈医生），"
        "同一半天只能预约一次，请选择其他半天，或先取消、改期该预约"
    )
    assert department.book_for_patient(walk_in, other).error == expected
    freeze_clock(monkeypatch, "18:00")
    scheduled.send_reminders()
    assert department.reschedule_as_desk(book_id, schedule_id, 3).status == 200
    freeze_clock(monkeypatch, "07:30", ahead=1)
    [listed] = get(f"{STAFF_PATH}/day_bookings", department.hospital.desk.token, date=get_iso_date(0)).data["list"]
    assert (listed["book_id"], listed["pati_name"]) == (book_id, "赵大爷")
    assert department.register(book_id=book_id, reason="未带证件").data["visi_serialno"] == "3"
    [(user_id, event_type, _)] = department.list_notification_jobs()
    assert (user_id, event_type) == (None, EventType.BOOKING_MOVED), "for the call list"
    later = department.book_for_patient(walk_in, department.create_schedule(date=get_iso_date(3))).data["book_id"]
    assert department.cancel_as_desk(later).status == 200
    freeze_clock(monkeypatch, "00:01", ahead=9)
    scheduled.mark_missed()


def test_desk_is_not_bound_by_limits_release_and_shares(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(daily_limit=1, missed_limit=1)
    missed = department.book_slot(lin, department.create_schedule())
    set_status(missed, BookingStatus.MISSED)
    far = department.create_schedule(date=get_iso_date(40), desk_slots=4, release_days=0)
    assert department.submit(lin, far, 4).status == 409
    assert department.book_for_patient(get_file(lin), far, 4).status == 200
    department.save_rules(missed_limit=0, daily_limit=2)
    department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))  # the desk's does not count
    assert department.book_for_patient(get_file(department.hospital.wang), far, 4).error == (
        "4号已被预约，还可预约：1号 08:00、2号 09:00、3号 10:00"
    )


def test_desk_cannot_book_unknown_stopped_and_past_slots(
    department: BookingDepartment, lin: Person, walk_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id, stopped = department.create_schedule(), department.create_schedule(**AFTERNOON)
    department.stop_schedule(stopped)
    assert (
        department.book_for_patient(walk_in, stopped).error == f"该排班已停诊，可改约 {get_iso_date(1)} 上午（陈医生）"
    )
    assert department.book_for_patient(walk_in, schedule_id, 5).error == "serialNo：不能大于 4"
    for pati_id, wanted in ((999_999_999, schedule_id), (walk_in, 999_999_999)):
        assert department.book_for_patient(pati_id, wanted).status == 404
        assert department.add_booking(pati_id, wanted).status == 404
    front_desk_client.merge_patients(department.hospital.desk, walk_in, get_file(lin))
    assert department.book_for_patient(walk_in, schedule_id).error == "患者档案不存在，或已并入其他档案"
    freeze_clock(monkeypatch, "09:30", ahead=1)
    assert department.book_for_patient(get_file(lin), schedule_id, 2).error.startswith("2号的就诊时间已过，还可预约")
    freeze_clock(monkeypatch, "12:00")
    assert department.add_booking(get_file(lin), schedule_id).error == "该半天已结束，不能加号"


def test_account_of_the_file_is_chosen(department: BookingDepartment, lin: Person) -> None:
    """The owner's, else the only one: which of several accounts a booking belongs to is not guessed."""
    others = [create_second_account(department, lin, phone) for phone in ("13600000001", "13600000002")]
    schedule_id = department.create_schedule()

    def book_and_cancel() -> int | None:
        booked = department.book_for_patient(get_file(lin), schedule_id).data
        department.cancel_as_desk(booked["book_id"])
        holder = list_rows("bookings", department.hospital)[-1]["user_id"]
        assert booked["has_account"] is (holder is not None)
        return None if holder is None else int(holder)

    assert book_and_cancel() == lin.user_id, "their phone is the file's"
    remove = "UPDATE members SET live = NULL WHERE member_id = %(id)s"
    mysql.autocommit.execute(remove, id=lin.member_id)
    assert book_and_cancel() is None
    mysql.autocommit.execute(remove, id=others[0].member_id)
    assert book_and_cancel() == others[1].user_id


def test_merge_and_split_move_bookings_without_an_account(
    department: BookingDepartment, lin: Person, walk_in: str
) -> None:
    book_id = department.book_for_patient(walk_in, department.create_schedule()).data["book_id"]
    desk = department.hospital.desk
    merged = front_desk_client.merge_patients(desk, walk_in, get_file(lin)).data
    assert [row["pati_id"] for row in list_rows("bookings", department.hospital)] == [get_file(lin)]
    assert department.submit(lin, department.create_schedule(**AFTERNOON)).status == 409, "the same doctor"
    response = post(f"{STAFF_PATH}/split_patients", desk.token, merge_id=merged["merge_id"], reason="合并有误")
    assert response.status == 200
    [row] = list_rows("bookings", department.hospital)
    assert (str(row["pati_id"]), str(row["book_id"]), row["person_live"]) == (walk_in, book_id, 1)


def test_additional_slots_are_beyond_the_others(
    department: BookingDepartment, lin: Person, wang: Person, walk_in: str
) -> None:
    schedule_id = department.create_schedule(slots=2, begin="08:00", end="10:00")
    department.book_slot(lin, schedule_id, 1)
    added = [department.add_booking(get_file(wang), schedule_id).data for _ in range(2)]
    assert added[0] == added[1], "a double click"
    assert (added[0]["serial_no"], added[0]["time"]) == (3, f"{get_iso_date(1)} 09:00:00")
    assert department.add_booking(walk_in, schedule_id).data["serial_no"] == 4
    assert department.list_free_serial_nos(schedule_id) == [2]
    assert department.submit(lin, schedule_id, 3).error == "serialNo：不能大于 2"
    assert department.cancel(wang, added[0]["book_id"]).status == 200
    assert department.list_free_serial_nos(schedule_id) == [2], "a cancelled additional slot is gone"
    assert department.add_booking(get_file(lin), schedule_id).status == 409, "one booking in a half-day"


def test_doctors_add_slots_for_their_own_patients(department: BookingDepartment, lin: Person, wang: Person) -> None:
    chen, zhou = department.hospital.chen, department.hospital.zhou
    today, tomorrow = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    zhous = department.create_schedule(date=get_iso_date(2), doctor_id=zhou.user_id)
    book_id = department.book_slot(lin, today)
    assert department.add_booking(get_file(lin), tomorrow, chen).status == 200
    response = department.add_booking(get_file(wang), tomorrow, chen)
    assert (response.status, response.error) == (404, "患者不存在，或不是您的患者，请由前台加号")
    assert department.add_booking(get_file(lin), zhous, chen).error == "排班不存在，或不是您的排班"
    assert department.add_booking(get_file(lin), zhous, zhou).status == 404
    assert department.get_status(lin, book_id) == 0


def test_concurrent_additional_slots_have_numbers_of_their_own(department: BookingDepartment) -> None:
    schedule_id = department.create_schedule()
    people = [factories.create_patient(department.hospital.tenant_id, f"1371000000{n}", f"患者{n}") for n in range(6)]
    files = [factories.create_patient_file(one, one.phone) for one in people]
    responses = run_in_threads(partial(department.add_booking, one, schedule_id) for one in [*files, *files])
    assert {one.status for one in responses} == {200}
    assert sorted(row["serial_no"] for row in list_rows("bookings", department.hospital)) == [5, 6, 7, 8, 9, 10]


def test_desk_and_patient_compete_for_a_slot(department: BookingDepartment, lin: Person, walk_in: str) -> None:
    schedule_id = department.create_schedule()
    calls = [partial(department.submit, lin, schedule_id), partial(department.book_for_patient, walk_in, schedule_id)]
    responses = run_in_threads(calls * 3)
    assert sorted(one.status for one in responses) == [200, 200, 200, 409, 409, 409]
    assert len(list_rows("bookings", department.hospital)) == 1


def test_desk_cancels_after_the_deadline_and_a_payment_is_refunded(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(cancel_minutes=600)
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id)
    mark_paid(book_id)
    freeze_clock(monkeypatch, "11:00", ahead=1)
    for _ in range(2):
        assert department.cancel_as_desk(book_id).data == {"receipt_no": ""}
    assert department.get_booking(lin, book_id).data["cancelReason"] == "desk"
    [due] = list_rows("refunds_due", department.hospital)
    assert (due["fee"], due["reason"]) == (1250, "desk")
    assert department.list_notification_jobs()[-1][1] == EventType.BOOKING_CANCELLED_BY_DESK
    [entry] = list_rows("audit_log", department.hospital)
    subject = entry["subject"].decode()
    assert (entry["action"], subject, entry["reason"]) == ("cancel_booking", f"booking:{book_id}", "患者来电取消")
    later = department.book_slot(lin, department.create_schedule(date=get_iso_date(1)))
    set_status(later, BookingStatus.REGISTERED)
    assert department.cancel_as_desk(later).error == "该预约已挂号或已失约，不能取消"
    set_status(later, BookingStatus.BOOKED)
    freeze_clock(monkeypatch, "08:00", ahead=3)
    assert department.cancel_as_desk(later).error == "就诊日已过，不能取消"


def test_receipt_of_the_till_replaces_our_payment(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=30)
    book_id = department.book_slot(lin, department.create_schedule())
    for _ in range(2):
        assert department.record_receipt(book_id).data is None
    freeze_clock(monkeypatch, "23:59")
    scheduled.cancel_unpaid()
    assert department.get_booking(lin, book_id).data["visiCharge"] == 2
    assert department.record_receipt(book_id, "SF-2").status == 200, "corrected"
    assert department.cancel_as_desk(book_id).data == department.cancel_as_desk(book_id).data == {"receipt_no": "SF-2"}
    assert list_rows("refunds_due", department.hospital) == []
    actions = [(row["action"], row["subject"].decode()) for row in list_rows("audit_log", department.hospital)]
    assert actions == [(one, f"booking:{book_id}") for one in ("record_receipt", "record_receipt", "cancel_booking")]


def test_patient_who_paid_at_the_till_cancels_without_our_refund(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_for_patient(get_file(lin), schedule_id, receipt_no="SF-3").data["book_id"]
    assert department.get_booking(lin, book_id).data["visiCharge"] == 2
    assert department.cancel(lin, book_id).status == 200
    assert list_rows("refunds_due", department.hospital) == []


def test_receipt_is_rejected_where_none_can_be(department: BookingDepartment, lin: Person) -> None:
    free = department.book_slot(lin, department.create_schedule(bookfee=0))
    assert department.record_receipt(free).error == "该预约免费，无需收据号"
    book_id = department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))
    mark_paid(book_id)
    assert department.record_receipt(book_id).error == "该预约已在线支付"
    department.cancel(lin, book_id)
    assert department.record_receipt(book_id).error == "该预约已取消或已失约"


def test_bookings_of_another_hospital_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    stranger = other_department.hospital.lin
    foreign = other_department.book_slot(stranger, schedule_id := other_department.create_schedule())
    for response in (
        department.cancel_as_desk(foreign),
        department.record_receipt(foreign),
        department.book_for_patient(get_file(stranger), department.create_schedule()),
        department.book_for_patient(get_file(department.hospital.lin), schedule_id, 2),
        department.add_booking(get_file(department.hospital.lin), schedule_id),
    ):
        assert (response.status, response.code) == (404, 10004)


@pytest.mark.parametrize("value", ["x", "", None, 0, True, 2**53])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("book_for_patient", name) for name in ("pati_id", "schedule_id", "serial_no")),
        *(("add_booking", name) for name in ("pati_id", "schedule_id")),
        ("cancel_booking", "book_id"),
        ("record_receipt", "book_id"),
    ],
)
def test_invalid_id_is_named(department: BookingDepartment, path: str, name: str, value: Any) -> None:
    body = {"pati_id": 1, "schedule_id": 1, "serial_no": 1, "book_id": 1, "reason": "患者来电", "receipt_no": "SF-1"}
    response = post(f"{STAFF_PATH}/{path}", department.hospital.desk.token, **{**body, name: value})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.partition("：")[0].lower().replace("_", "") == name.replace("_", "")


@pytest.mark.parametrize("receipt_no", ["x" * 33, "收据1", "a b", 1, True])
def test_invalid_receipt_number_is_named(department: BookingDepartment, walk_in: str, receipt_no: Any) -> None:
    for response in (
        department.record_receipt(1, receipt_no),
        department.book_for_patient(walk_in, 1, receipt_no=receipt_no),
    ):
        assert (response.status, response.error.partition("：")[0]) == (400, "receipt_no")
