"""After a stop each patient has another slot held, or is refunded: accepted, declined or lapsed, each once."""

import json
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.billing.bookings import BookingStatus
from chalicelib.booking.closures import alternative_store, alternatives, holding, stopped_schedules
from chalicelib.booking.jobs import site_messages
from chalicelib.booking.reservations import booking_store, notifications
from chalicelib.booking.schedules import rule_store
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support.booking_client import (
    AFTERNOON,
    BookingDepartment,
    create_patient,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
)
from tests.support.client import get
from tests.support.factories import Hospital, Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store

HOUR = 3600 * clock.SECOND


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def run_stop_jobs(hospital: Hospital) -> None:
    for row in list_rows("outbox", hospital):
        if row["job"] == "cancel_stopped_schedule":
            stopped_schedules.cancel_bookings(hospital.tenant_id, json.loads(row["payload"]))


def stop(department: BookingDepartment, schedule_id: str, **fields: Any) -> None:
    """Stop a schedule and run its job twice: it may be repeated."""
    assert department.stop_schedule(schedule_id, **fields).status == 200
    for _ in range(2):
        run_stop_jobs(department.hospital)


def get_slot(person: Person, department: BookingDepartment, book_id: str) -> tuple[str, int, int]:
    """Return time, number and status of a booking."""
    details = department.get_booking(person, book_id).data
    return details["treaTime"], details["treaNo"], details["bookStatus"]


def list_events(department: BookingDepartment, book_id: str) -> list[int]:
    return [event for _, event, one in department.list_notification_jobs() if one == int(book_id)]


def list_texts(department: BookingDepartment, person: Person) -> list[str]:
    for row in list_rows("outbox", department.hospital):
        if row["job"] == "notify_booking":
            site_messages.notify_holder(department.hospital.tenant_id, json.loads(row["payload"]))
    return [one["msg_text"] for one in get("/msg_service/msg/list", person.token).data]


def expire(department: BookingDepartment) -> None:
    """Let the deadlines of all alternatives pass, and run the job twice."""
    sql = "UPDATE alternatives SET expires_at = %(now)s WHERE tenant_id = %(id)s AND state = 'open'"
    mysql.autocommit.execute(sql, now=clock.now(), id=department.hospital.tenant_id)
    for _ in range(2):
        alternatives.lapse_expired()


def kill_stop_jobs(department: BookingDepartment, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, ...]) -> None:
    """Run the jobs so often, each time killed in the middle of a transaction, after so many others."""
    enqueue = notifications.enqueue
    for limit in limits:
        calls = iter(range(limit))

        def enqueue_and_die(*arguments: Any, calls: Any = calls, **named: Any) -> None:
            enqueue(*arguments, **named)
            if next(calls, None) is None:
                raise SystemExit

        with monkeypatch.context() as patched:
            patched.setattr(notifications, "enqueue", enqueue_and_die)
            with pytest.raises(SystemExit):
                run_stop_jobs(department.hospital)


def test_the_nearest_slot_of_the_same_doctor_is_held(department: BookingDepartment, lin: Person) -> None:
    stopped = department.create_schedule()
    zhou = department.hospital.zhou.user_id
    department.create_schedule(date=get_iso_date(2), doctor_id=zhou)
    department.create_schedule(date=get_iso_date(3), bookfee=20)
    department.create_schedule(date=get_iso_date(4))
    department.create_schedule(date=get_iso_date(5))
    book_id = department.book_slot(lin, stopped, 3)
    mark_paid(book_id)
    stop(department, stopped, reason="医生临时会诊")
    assert get_slot(lin, department, book_id) == (f"{get_iso_date(4)} 10:00:00", 3, BookingStatus.BOOKED)
    assert list_rows("refunds_due", department.hospital) == []
    assert list_events(department, book_id) == [EventType.BOOKING_MADE, EventType.ALTERNATIVE_HELD]
    shown = department.get_alternatives(lin, book_id).data
    assert (shown["kind"], shown["state"], shown["reason"]) == ("held", "open", "医生临时会诊")
    assert [(one["treaTime"], one["doctorName"]) for one in shown["others"]] == [
        (f"{get_iso_date(5)} 10:00:00", "陈医生"),
        (f"{get_iso_date(2)} 10:00:00", "周医生"),
    ]
    [text] = [one for one in list_texts(department, lin) if "停诊" in one]
    assert text.startswith(f"因停诊，您 {get_iso_date(1)} 10:00 的预约改为：林小雨，{get_iso_date(4)} 10:00，")
    assert "原因：医生临时会诊。" in text
    assert f"请在 {shown['expiresTime'][:16]} 前确认" in text


def test_accepted_slot_stays(department: BookingDepartment, lin: Person) -> None:
    stopped, _ = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    book_id = department.book_slot(lin, stopped)
    stop(department, stopped)
    for _ in range(2):
        accepted = department.accept_alternative(lin, book_id)
        assert accepted.data == {"bookId": book_id, "treaTime": f"{get_iso_date(2)} 08:00:00", "treaNo": 1}
    expire(department)
    assert department.get_status(lin, book_id) == BookingStatus.BOOKED
    assert department.get_alternatives(lin, book_id).data["state"] == "accepted"
    declined = department.decline_alternative(lin, book_id)
    assert (declined.status, declined.error) == (409, "您已确认就诊时间，如不能就诊请取消预约")


def test_another_slot_is_chosen_with_one_request(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(reschedule_limit=0, cancel_minutes=10_000)
    stopped, _ = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    later = department.create_schedule(date=get_iso_date(3))
    book_id = department.book_slot(lin, stopped)
    mark_paid(book_id)
    stop(department, stopped)
    for _ in range(2):
        chosen = department.accept_alternative(lin, book_id, scheduleId=later, serialNo=2)
        assert chosen.data == {"bookId": book_id, "treaTime": f"{get_iso_date(3)} 09:00:00", "treaNo": 2}
    again = department.accept_alternative(lin, book_id, scheduleId=later, serialNo=3)
    assert (again.status, again.error) == (409, "您已确认就诊时间，如需更改请改期或取消预约")
    expire(department)
    assert get_slot(lin, department, book_id) == (f"{get_iso_date(3)} 09:00:00", 2, BookingStatus.BOOKED)
    assert list_events(department, book_id)[1:] == [EventType.ALTERNATIVE_HELD, EventType.BOOKING_RESCHEDULED]
    assert list_rows("refunds_due", department.hospital) == []


def test_declined_slot_is_refunded_and_free(department: BookingDepartment, lin: Person, wang: Person) -> None:
    department.save_rules(cancel_minutes=10_000)
    stopped, other = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    book_id = department.book_slot(lin, stopped)
    mark_paid(book_id)
    stop(department, stopped)
    assert department.submit(wang, other, 1).status == 409, "it is held"
    for _ in range(2):
        assert department.decline_alternative(lin, book_id).data is None
    assert department.get_booking(lin, book_id).data["cancelReason"] == "stopped"
    assert [one["reason"] for one in list_rows("refunds_due", department.hospital)] == ["stopped"]
    assert department.submit(wang, other, 1).status == 200
    assert department.accept_alternative(lin, book_id).status == 409
    assert len(department.get_alternatives(lin, book_id).data["others"]) == 1


def test_lapsed_slot_is_refunded_once(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(hold_hours=3, quiet_from=0, quiet_to=0)
    stopped, other = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    book_id = department.book_slot(lin, stopped)
    mark_paid(book_id)
    stop(department, stopped)
    [row] = list_rows("alternatives", department.hospital)
    assert 0 <= row["created_at"] + 3 * HOUR - row["expires_at"] < HOUR
    alternatives.lapse_expired()
    assert department.get_status(lin, book_id) == BookingStatus.BOOKED
    expire(department)
    run_in_threads([alternatives.lapse_expired] * 3)
    assert department.get_status(lin, book_id) == BookingStatus.CANCELLED
    assert list_events(department, book_id)[1:] == [EventType.ALTERNATIVE_HELD, EventType.ALTERNATIVE_LAPSED]
    assert len(list_rows("refunds_due", department.hospital)) == 1
    assert department.list_free_serial_nos(other) == [1, 2, 3, 4]
    assert department.accept_alternative(lin, book_id).error == "该预约已取消，请重新预约"


def test_without_an_alternative_the_booking_is_cancelled(department: BookingDepartment, lin: Person) -> None:
    """None is free, of the same fee, beside another booking of the patient, or in the days that can be booked."""
    zhou = department.hospital.zhou.user_id
    stopped = department.create_schedule()
    department.create_schedule(date=get_iso_date(2), bookfee=20)
    full = department.create_schedule(date=get_iso_date(3), slots=1)
    department.book_slot(create_patient(department, 1), full)
    conflicting = department.create_schedule(date=get_iso_date(4), doctor_id=zhou)
    department.create_schedule(date=get_iso_date(4))
    department.book_slot(lin, conflicting)
    department.create_schedule(date=get_iso_date(30))
    book_id = department.book_slot(lin, stopped)
    stop(department, stopped, reason="设备检修")
    assert department.get_status(lin, book_id) == BookingStatus.CANCELLED
    assert list_events(department, book_id) == [EventType.BOOKING_MADE, EventType.SCHEDULE_STOPPED]
    assert any("预约已取消" in one and "原因：设备检修。" in one for one in list_texts(department, lin))
    shown = department.get_alternatives(lin, book_id).data
    assert (shown["kind"], shown["others"]) == ("", [])
    assert department.accept_alternative(lin, book_id).error == "该预约没有停诊改约，可直接改期或取消"
    assert department.decline_alternative(lin, book_id).status == 409


def test_a_hospital_that_holds_nothing_cancels_at_once(department: BookingDepartment, lin: Person) -> None:
    department.save_rules(hold_hours=0)
    stopped, _ = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    book_id = department.book_slot(lin, stopped)
    stop(department, stopped)
    assert department.get_status(lin, book_id) == BookingStatus.CANCELLED
    assert len(department.get_alternatives(lin, book_id).data["others"]) == 1


def test_todays_visits_are_refunded_at_once(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, _ = department.create_schedule(), department.create_schedule(date=get_iso_date(3))
    book_id = department.book_slot(lin, stopped)
    mark_paid(book_id)
    freeze_clock(monkeypatch, "07:00", ahead=1)
    stop(department, stopped)
    assert department.get_status(lin, book_id) == BookingStatus.CANCELLED
    assert len(list_rows("refunds_due", department.hospital)) == 1


def test_the_alternatives_schedule_can_be_stopped_too(department: BookingDepartment, lin: Person) -> None:
    first, second = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    department.create_schedule(date=get_iso_date(3))
    book_id = department.book_slot(lin, first)
    stop(department, first)
    stop(department, second)
    assert get_slot(lin, department, book_id) == (f"{get_iso_date(3)} 08:00:00", 1, BookingStatus.BOOKED)
    assert [one["state"] for one in list_rows("alternatives", department.hospital)] == ["ended", "open"]
    expire(department)
    assert department.get_status(lin, book_id) == BookingStatus.CANCELLED


def test_rescheduled_or_cancelled_bookings_do_not_lapse(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    stopped, _ = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    later = department.create_schedule(**{**AFTERNOON, "date": get_iso_date(3)})
    moved, cancelled = department.book_slot(lin, stopped, 1), department.book_slot(wang, stopped, 2)
    stop(department, stopped)
    assert department.reschedule(lin, moved, later).status == 200
    assert department.cancel(wang, cancelled).status == 200
    expire(department)
    assert get_slot(lin, department, moved) == (f"{get_iso_date(3)} 14:00:00", 1, BookingStatus.BOOKED)
    assert [one["state"] for one in list_rows("alternatives", department.hospital)] == ["accepted", "ended"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"bookId": "x"}, "bookId"),
        ({"scheduleId": "1"}, "serialNo"),
        ({"serialNo": 1}, "serialNo"),
        ({"scheduleId": "x", "serialNo": 1}, "scheduleId"),
        ({"scheduleId": "1", "serialNo": 0}, "serialNo"),
    ],
)
def test_invalid_fields_are_named(department: BookingDepartment, lin: Person, body: dict[str, Any], field: str) -> None:
    response = department.accept_alternative(
        lin, body.get("bookId", "1"), **{name: one for name, one in body.items() if name != "bookId"}
    )
    assert (response.status, response.error.partition("：")[0]) == (400, field)


def test_bookings_of_others_are_not_found(department: BookingDepartment, lin: Person, wang: Person) -> None:
    stopped, _ = department.create_schedule(), department.create_schedule(date=get_iso_date(2))
    book_id = department.book_slot(lin, stopped)
    stop(department, stopped)
    for call in (department.get_alternatives, department.accept_alternative, department.decline_alternative):
        assert call(wang, book_id).status == 404
        assert call(lin, 999_999_999).status == 404
    assert department.get_alternatives(lin, book_id).data["state"] == "open"


def test_interrupted_stop_holds_one_slot_for_each_patient(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is killed again and again, within and between transactions, then runs three times at once."""
    number = 24
    stopped = department.create_schedule(slots=number)
    department.create_schedule(date=get_iso_date(2), slots=16)
    patients = [create_patient(department, one) for one in range(number)]
    booked = [department.book_slot(one, stopped, serial_no) for serial_no, one in enumerate(patients, 1)]
    for book_id in booked:
        mark_paid(book_id)
    department.stop_schedule(stopped)
    kill_stop_jobs(department, monkeypatch, (1, 3, 5, 2))
    run_in_threads([lambda: run_stop_jobs(department.hospital)] * 3)
    rows = list_rows("bookings", department.hospital)
    held = [one for one in rows if one["status"] == BookingStatus.BOOKED]
    assert (len(held), len({one["serial_no"] for one in held})) == (16, 16)
    assert len(list_rows("alternatives", department.hospital)) == 16
    cancelled = {one["book_id"] for one in rows if one["status"] == BookingStatus.CANCELLED}
    assert {one["book_id"] for one in list_rows("refunds_due", department.hospital)} == cancelled
    assert len(cancelled) == 8
    events = [(book_id, event) for _, event, book_id in department.list_notification_jobs()]
    assert len(events) == len(set(events)) == 2 * number
    for accepting in (patients[0], patients[5]):
        own = get("/pati_service/book_service/books", accepting.token).data["list"][0]
        if own["bookStatus"] == BookingStatus.BOOKED:
            assert department.accept_alternative(accepting, own["bookId"]).status == 200
    expire(department)
    ends = {one["book_id"]: one["state"] for one in list_rows("alternatives", department.hospital)}
    for row in list_rows("bookings", department.hospital):
        is_booked = ends.get(row["book_id"]) == "accepted"
        assert (row["status"] == BookingStatus.BOOKED) is is_booked
    assert len(list_rows("refunds_due", department.hospital)) == sum(
        one["status"] == BookingStatus.CANCELLED for one in list_rows("bookings", department.hospital)
    )


def test_a_slot_that_is_taken_meanwhile_is_not_held(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, other = department.create_schedule(), department.create_schedule(date=get_iso_date(2), slots=1)
    third = department.create_schedule(date=get_iso_date(3))
    book_id = department.book_slot(lin, stopped)
    department.stop_schedule(stopped)
    lock = booking_store.lock_booking_context

    def take_and_lock(*arguments: Any) -> Any:
        monkeypatch.setattr(booking_store, "lock_booking_context", lock)
        assert department.submit(wang, other, 1).status == 200
        return lock(*arguments)

    monkeypatch.setattr(booking_store, "lock_booking_context", take_and_lock)
    run_stop_jobs(department.hospital)
    assert department.list_free_serial_nos(third) == [2, 3, 4]
    assert get_slot(lin, department, book_id)[0] == f"{get_iso_date(3)} 08:00:00"


def test_accepting_while_it_lapses_keeps_or_refunds(department: BookingDepartment) -> None:
    patients = [create_patient(department, one) for one in range(6)]
    stopped, _ = department.create_schedule(slots=6), department.create_schedule(date=get_iso_date(2), slots=6)
    booked = [department.book_slot(one, stopped, number) for number, one in enumerate(patients, 1)]
    for book_id in booked:
        mark_paid(book_id)
    stop(department, stopped)
    sql = "UPDATE alternatives SET expires_at = %(soon)s WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, soon=clock.now() + clock.SECOND // 20, id=department.hospital.tenant_id)
    statuses: dict[str, int] = {}

    def accept(person: Person, book_id: str) -> None:
        statuses[book_id] = department.accept_alternative(person, book_id).status

    work: list[Any] = [
        lambda one=one, book_id=book_id: accept(one, book_id) for one, book_id in zip(patients, booked, strict=True)
    ]
    run_in_threads([*work, alternatives.lapse_expired, alternatives.lapse_expired])
    expire(department)
    for person, book_id in zip(patients, booked, strict=True):
        is_booked = department.get_status(person, book_id) == BookingStatus.BOOKED
        assert is_booked is (statuses[book_id] == 200)
    refunded = {str(one["book_id"]) for one in list_rows("refunds_due", department.hospital)}
    assert refunded == {one for one in booked if statuses[one] != 200}


def test_holding_needs_a_later_day(department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped morning of today is not replaced by the afternoon: the patient would hardly learn of it in time."""
    schedule_id = department.create_schedule()
    department.create_schedule(**AFTERNOON, doctor_id=department.hospital.zhou.user_id)
    book_id = department.book_slot(lin, schedule_id)
    freeze_clock(monkeypatch, "06:00", ahead=1)
    found = alternative_store.find_booking(mysql.autocommit, department.hospital.tenant_id, int(book_id))
    assert found is not None
    rules = rule_store.load(mysql.autocommit, department.hospital.tenant_id)
    assert list(holding.iter_free_slots(mysql.autocommit, department.hospital.tenant_id, found, rules)) == []
