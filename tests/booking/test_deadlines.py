"""What a patient has accepted, or the hospital has moved, is not cancelled by the deadlines of the slot before."""

import json
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.closures import alternatives, stopped_schedules
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.reservations import deadlines
from chalicelib.booking.waitlist import offering
from chalicelib.notifications import delivery_states
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date, list_rows, mark_paid
from tests.support.client import ApiResponse
from tests.support.factories import Person

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("nine_o_clock")]


def create_offer(department: BookingDepartment, lin: Person, wang: Person) -> tuple[str, str]:
    """Let the waitlist give Wang the only slot of a half-day, to be confirmed until 09:30; return schedule and booking.

    The next day has free slots.
    """
    schedule_id = department.create_schedule(slots=1, date=get_iso_date(3))
    department.create_schedule(date=get_iso_date(4))
    book_id = department.book_slot(lin, schedule_id)
    assert department.join_waitlist(wang, schedule_id).status == 200
    department.cancel(lin, book_id)
    offering.offer_all()
    [one] = [one for one in department.list_waitlist(wang) if one["state"] == "offered"]
    return schedule_id, str(one["bookId"])


def stop(department: BookingDepartment, schedule_id: str) -> None:
    assert department.stop_schedule(schedule_id).status == 200
    for row in list_rows("outbox", department.hospital):
        if row["job"] == "cancel_stopped_schedule":
            stopped_schedules.cancel_bookings(department.hospital.tenant_id, json.loads(row["payload"]))


def get_file(person: Person) -> int:
    found = mysql.autocommit.fetch_value("SELECT pati_id FROM members WHERE member_id = %(id)s", id=person.member_id)
    return int(found)


def run_deadline_jobs(monkeypatch: pytest.MonkeyPatch, time: str, ahead: int = 0) -> None:
    freeze_clock(monkeypatch, time, ahead)
    scheduled.cancel_unpaid()
    alternatives.lapse_expired()
    scheduled.cancel_unconfirmed()


def get_end(department: BookingDepartment, person: Person, book_id: str) -> tuple[int, str]:
    """Return the status of a booking and why it was cancelled."""
    booking = department.get_booking(person, book_id).data
    return booking["bookStatus"], booking["cancelReason"]


@pytest.mark.parametrize("is_other_slot", [False, True])
def test_accepted_alternative_of_an_offer_stays(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch, is_other_slot: bool
) -> None:
    schedule_id, book_id = create_offer(department, lin, wang)
    other = department.create_schedule(date=get_iso_date(5))
    stop(department, schedule_id)
    assert department.get_booking(wang, book_id).data["confirmBy"] == ""
    assert [row["state"] for row in list_rows("waitlist_entries", department.hospital)] == ["accepted"]
    slot = {"scheduleId": other, "serialNo": 2} if is_other_slot else {}
    assert department.accept_alternative(wang, book_id, **slot).status == 200
    run_deadline_jobs(monkeypatch, "09:31", ahead=2)
    assert get_end(department, wang, book_id) == (0, "")


def test_held_alternative_of_an_offer_is_not_ended_by_the_offer(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id, book_id = create_offer(department, lin, wang)
    stop(department, schedule_id)
    run_deadline_jobs(monkeypatch, "09:31")
    assert get_end(department, wang, book_id) == (0, "")
    run_deadline_jobs(monkeypatch, "09:00", ahead=1)
    assert get_end(department, wang, book_id) == (1, "stopped"), "nobody has accepted it"


def test_desk_confirms_an_offer_by_moving_it(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=60)
    _, book_id = create_offer(department, lin, wang)
    other = department.create_schedule(slots=2, date=get_iso_date(5))
    assert department.reschedule_as_desk(book_id, other, 2).status == 200
    assert [row["state"] for row in list_rows("waitlist_entries", department.hospital)] == ["accepted"]
    run_deadline_jobs(monkeypatch, "09:59")
    assert get_end(department, wang, book_id) == (0, "")
    run_deadline_jobs(monkeypatch, "10:00")
    assert get_end(department, wang, book_id) == (1, "unpaid")


@pytest.mark.parametrize(
    ("time", "ahead", "until_day", "until"),
    [
        ("20:59", 0, 0, "23:59"),
        ("21:49", 0, 1, "00:49"),
        ("21:50", 0, 1, "10:00"),
        ("23:30", 0, 1, "10:00"),
        ("06:55", 1, 1, "10:00"),
        ("07:00", 1, 1, "10:00"),
    ],
)
def test_time_of_a_held_slot_begins_after_the_quiet_hours(
    department: BookingDepartment,
    lin: Person,
    monkeypatch: pytest.MonkeyPatch,
    time: str,
    ahead: int,
    until_day: int,
    until: str,
) -> None:
    expected = f"{get_iso_date(until_day)} {until}:00"
    department.save_rules(hold_hours=3)
    schedule_id = department.create_schedule(date=get_iso_date(3))
    department.create_schedule(date=get_iso_date(4))
    book_id = department.book_slot(lin, schedule_id)
    freeze_clock(monkeypatch, time, ahead)
    stop(department, schedule_id)
    assert department.get_alternatives(lin, book_id).data["expiresTime"] == expected


@pytest.mark.parametrize(("time", "held"), [("21:00", "08:00"), ("21:50", "09:00"), ("23:00", "09:00")])
def test_patients_do_not_sleep_while_what_is_held_lapses(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch, time: str, held: str
) -> None:
    """Of tomorrow's slots at 8, 9, 10 and 11 o'clock, the first one is too early for who is notified at 7."""
    schedule_id = department.create_schedule(date=get_iso_date(3))
    department.create_schedule(date=get_iso_date(1))
    book_id = department.book_slot(lin, schedule_id)
    freeze_clock(monkeypatch, time)
    stop(department, schedule_id)
    booking, expires = department.get_booking(lin, book_id).data, department.get_alternatives(lin, book_id).data
    assert (booking["treaTime"], expires["expiresTime"]) == (f"{get_iso_date(1)} {held}:00",) * 2


def test_without_a_slot_late_enough_the_booking_is_cancelled(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(3))
    department.create_schedule(date=get_iso_date(1), slots=1)
    book_id = department.book_slot(lin, schedule_id)
    freeze_clock(monkeypatch, "23:00")
    stop(department, schedule_id)
    assert get_end(department, lin, book_id) == (1, "stopped")
    [other] = department.get_alternatives(lin, book_id).data["others"]
    assert other["treaTime"] == f"{get_iso_date(1)} 08:00:00", "the patient can choose it"


def test_nothing_is_offered_whose_sms_would_wait_until_the_morning(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delivery_states.CONFIRMATION_WAIT < deadlines.SMS_DELAY
    schedule_id = department.create_schedule(slots=1, date=get_iso_date(3))
    book_id = department.book_slot(lin, schedule_id)
    department.join_waitlist(wang, schedule_id)
    freeze_clock(monkeypatch, "21:50")
    department.cancel(lin, book_id)
    offering.offer_all()
    assert [row["state"] for row in list_rows("waitlist_entries", department.hospital)] == ["waiting"]
    freeze_clock(monkeypatch, "21:49")
    offering.offer_all()
    assert [row["state"] for row in list_rows("waitlist_entries", department.hospital)] == ["offered"]


@pytest.mark.parametrize("is_additional", [False, True])
def test_receipt_is_recorded_for_a_slot_that_the_patient_has(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch, is_additional: bool
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule(date=get_iso_date(3))

    def book(**fields: Any) -> ApiResponse:
        if is_additional:
            return department.add_booking(get_file(lin), schedule_id, **fields)
        return department.book_for_patient(get_file(lin), schedule_id, 2, **fields)

    book_id = book().data["book_id"] if is_additional else department.book_slot(lin, schedule_id, 2)
    for receipt_no in ("SF-8", "SF-9", "SF-9"):
        assert book(receipt_no=receipt_no).data["book_id"] == book_id
    actions = [row["action"] for row in list_rows("audit_log", department.hospital)]
    assert actions == ["record_receipt"] * 2, "the second one is a correction"
    run_deadline_jobs(monkeypatch, "09:31")
    assert get_end(department, lin, book_id) == (0, "")
    assert department.cancel_as_desk(book_id).data == {"receipt_no": "SF-9"}


def test_receipt_is_rejected_for_a_slot_that_is_paid_online(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(3))
    mark_paid(department.book_slot(lin, schedule_id, 2))
    assert department.book_for_patient(get_file(lin), schedule_id, 2, receipt_no="SF-9").error == "该预约已在线支付"
    assert department.book_for_patient(get_file(lin), schedule_id, 2).status == 200


def test_desk_confirms_an_offer_by_booking_its_slot(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(pay_minutes=60)
    schedule_id, book_id = create_offer(department, lin, wang)
    assert department.book_for_patient(get_file(wang), schedule_id, 1).data["book_id"] == book_id
    assert [row["state"] for row in list_rows("waitlist_entries", department.hospital)] == ["accepted"]
    run_deadline_jobs(monkeypatch, "09:59")
    assert get_end(department, wang, book_id) == (0, "")
    run_deadline_jobs(monkeypatch, "10:00")
    assert get_end(department, wang, book_id) == (1, "unpaid")


def test_free_booking_is_made_with_a_receipt(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(3), bookfee=0)
    for _ in range(2):
        assert department.book_for_patient(get_file(lin), schedule_id, 2, receipt_no="SF-9").status == 200


@pytest.mark.parametrize("choice", ["held", "other", "rescheduled"])
def test_time_to_pay_begins_when_an_alternative_is_accepted(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    department.save_rules(pay_minutes=30)
    schedule_id = department.create_schedule(date=get_iso_date(3))
    department.create_schedule(date=get_iso_date(4))
    other = department.create_schedule(date=get_iso_date(5))
    book_id = department.book_slot(lin, schedule_id)
    stop(department, schedule_id)
    run_deadline_jobs(monkeypatch, "11:00")
    assert get_end(department, lin, book_id) == (0, ""), "it is held until tomorrow"
    if choice == "rescheduled":
        assert department.reschedule(lin, book_id, other, 2).status == 200
        run_deadline_jobs(monkeypatch, "11:00", ahead=1)  # what was held is over: it counts as accepted
    else:
        slot = {"scheduleId": other, "serialNo": 2} if choice == "other" else {}
        assert department.accept_alternative(lin, book_id, **slot).status == 200
        freeze_clock(monkeypatch, "11:20")
        assert department.accept_alternative(lin, book_id, **slot).status == 200, "again, which prolongs nothing"
    run_deadline_jobs(monkeypatch, "11:29")
    assert get_end(department, lin, book_id) == (0, "")
    run_deadline_jobs(monkeypatch, "11:30")
    assert get_end(department, lin, book_id) == (1, "unpaid")
