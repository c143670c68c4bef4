"""Client for the booking endpoints of a department, with helpers that prepare and read bookings."""

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.identity import tokens
from chalicelib.outbox.jobs import Job
from chalicelib.people import departments
from chalicelib.settings import settings
from tests.support import factories
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person

PUBLIC_PATH = "/pati_service/tenant_service"
BOOKING_PATH = "/pati_service/book_service"
STAFF_PATH = "/pati_service/manager_service"
MORNING = {"half": "AM", "begin": "08:00", "end": "12:00", "slots": 4, "type": 1, "bookfee": 12.5, "area": "A 区"}
AFTERNOON = {**MORNING, "half": "PM", "begin": "14:00", "end": "17:00", "slots": 3}


@dataclass(frozen=True)
class BookingDepartment:
    """A department of a hospital in which Lin and Wang have patient files."""

    hospital: Hospital
    dept_id: int

    @property
    def tenant_headers(self) -> dict[str, str]:
        """The header by which a visitor names the tenant."""
        return {"tenantId": str(self.hospital.tenant_id)}

    def get_public(self, path: str, **query: Any) -> ApiResponse:
        """Call an endpoint of tenant_service without a token."""
        return get(f"{PUBLIC_PATH}/{path}", headers=self.tenant_headers, **query)

    def save_schedule(self, person: Person | None = None, **fields: Any) -> ApiResponse:
        """Save a morning of Doctor Chen tomorrow, with these fields changed; None omits a field."""
        defaults = {
            "dept_id": self.dept_id,
            "doctor_id": self.hospital.chen.user_id,
            "date": get_iso_date(1),
            **MORNING,
        }
        body = {name: value for name, value in {**defaults, **fields}.items() if value is not None}
        return post(f"{STAFF_PATH}/save_schedule", (person or self.hospital.desk).token, **body)

    def create_schedule(self, **fields: Any) -> str:
        """Save a new schedule and return its id."""
        return str(self.save_schedule(**fields).data["schedule_id"])

    def list_free_serial_nos(self, schedule_id: Any) -> list[int]:
        """Return the serial numbers of the remaining slots, as visitors see them."""
        return [one["serialNo"] for one in self.get_public("schedule/left_appo", scheduleId=schedule_id).data]

    def submit(
        self, person: Person, schedule_id: Any, serial_no: Any = 1, member_id: Any = None, key: str = ""
    ) -> ApiResponse:
        """Submit a booking; `key` is the Idempotency-Key, "" for none."""
        member = person.member_id if member_id is None else member_id
        body = {"scheduleId": schedule_id, "serialNo": serial_no, "memberId": member}
        return post(
            f"{BOOKING_PATH}/book/submit", person.token, headers={"Idempotency-Key": key} if key else None, **body
        )

    def book_slot(self, person: Person, schedule_id: Any, serial_no: int = 1) -> str:
        """Book a slot and return the bookId."""
        return str(self.submit(person, schedule_id, serial_no).data["bookId"])

    def cancel(self, person: Person, book_id: Any) -> ApiResponse:
        """Cancel a booking as its holder."""
        return post(f"{BOOKING_PATH}/book/cancel", person.token, bookId=book_id)

    def reschedule(
        self, person: Person, book_id: Any, schedule_id: Any, serial_no: Any = 1, key: str = ""
    ) -> ApiResponse:
        """Move a booking to another slot as its holder; `key` is the Idempotency-Key, "" for none."""
        body = {"bookId": book_id, "scheduleId": schedule_id, "serialNo": serial_no}
        headers = {"Idempotency-Key": key} if key else None
        return post(f"{BOOKING_PATH}/book/reschedule", person.token, headers=headers, **body)

    def reschedule_as_desk(self, book_id: Any, schedule_id: Any, serial_no: Any = 1) -> ApiResponse:
        """Move a booking to another slot as the front desk."""
        body = {"bookId": book_id, "scheduleId": schedule_id, "serialNo": serial_no}
        return post(f"{STAFF_PATH}/reschedule_booking", self.hospital.desk.token, **body)

    def get_booking(self, person: Person, book_id: Any) -> ApiResponse:
        """Request the details of a booking."""
        return get(f"{BOOKING_PATH}/book/{book_id}", person.token)

    def get_status(self, person: Person, book_id: Any) -> int:
        """Return the bookStatus of a booking."""
        return int(self.get_booking(person, book_id).data["bookStatus"])

    def book_for_patient(self, pati_id: Any, schedule_id: Any, serial_no: Any = 1, **fields: Any) -> ApiResponse:
        """Book a slot for a patient file as the front desk."""
        body = {"pati_id": pati_id, "schedule_id": schedule_id, "serial_no": serial_no, **fields}
        return post(f"{STAFF_PATH}/book_for_patient", self.hospital.desk.token, **body)

    def add_booking(self, pati_id: Any, schedule_id: Any, person: Person | None = None, **fields: Any) -> ApiResponse:
        """Add a slot for a patient file, as the front desk unless a person is given."""
        body = {"pati_id": pati_id, "schedule_id": schedule_id, **fields}
        return post(f"{STAFF_PATH}/add_booking", (person or self.hospital.desk).token, **body)

    def cancel_as_desk(self, book_id: Any, reason: str = "患者来电取消") -> ApiResponse:
        """Cancel a booking as the front desk."""
        return post(f"{STAFF_PATH}/cancel_booking", self.hospital.desk.token, book_id=book_id, reason=reason)

    def record_receipt(self, book_id: Any, receipt_no: Any = "SF-1") -> ApiResponse:
        """Record a payment at the hospital's till as the front desk."""
        return post(f"{STAFF_PATH}/record_receipt", self.hospital.desk.token, book_id=book_id, receipt_no=receipt_no)

    def refund_visit(self, book_id: Any, person: Person | None = None, **fields: Any) -> ApiResponse:
        """Refund a registered visit, as the front desk unless a person is given."""
        body = {"book_id": book_id, "reason": "患者不再就诊", **fields}
        return post(f"{STAFF_PATH}/refund_visit", (person or self.hospital.desk).token, **body)

    def join_waitlist(self, person: Person, schedule_id: Any = None, **fields: Any) -> ApiResponse:
        """Wait for a schedule or, with other fields, for a doctor's days."""
        body = {"memberId": person.member_id, **({"scheduleId": schedule_id} if schedule_id else {}), **fields}
        return post(f"{BOOKING_PATH}/waitlist/join", person.token, **body)

    def list_waitlist(self, person: Person) -> list[dict[str, Any]]:
        """Return the account's entries of the waitlist, newest first."""
        return list(get(f"{BOOKING_PATH}/waitlist", person.token, page_size=100).data["list"])

    def leave_waitlist(self, person: Person, entry_id: Any) -> ApiResponse:
        """Leave a line."""
        return post(f"{BOOKING_PATH}/waitlist/leave", person.token, entryId=entry_id)

    def confirm(self, person: Person, book_id: Any) -> ApiResponse:
        """Accept what the waitlist gave."""
        return post(f"{BOOKING_PATH}/book/confirm", person.token, bookId=book_id)

    def stop_schedule(self, schedule_id: Any, person: Person | None = None, **fields: Any) -> ApiResponse:
        """Stop a schedule, as the front desk unless a person is given."""
        token = (person or self.hospital.desk).token
        return post(f"{STAFF_PATH}/stop_schedule", token, schedule_id=schedule_id, **fields)

    def substitute_doctor(
        self, schedule_id: Any, doctor_id: Any, person: Person | None = None, **fields: Any
    ) -> ApiResponse:
        """Let another doctor see the patients of a schedule."""
        body = {"schedule_id": schedule_id, "doctor_id": doctor_id, **fields}
        return post(f"{STAFF_PATH}/substitute_doctor", (person or self.hospital.desk).token, **body)

    def get_alternatives(self, person: Person, book_id: Any) -> ApiResponse:
        return get(f"{BOOKING_PATH}/alternatives", person.token, bookId=book_id)

    def accept_alternative(self, person: Person, book_id: Any, **slot: Any) -> ApiResponse:
        return post(f"{BOOKING_PATH}/book/accept_alternative", person.token, bookId=book_id, **slot)

    def decline_alternative(self, person: Person, book_id: Any) -> ApiResponse:
        return post(f"{BOOKING_PATH}/book/decline_alternative", person.token, bookId=book_id)

    def register(self, **body: Any) -> ApiResponse:
        """Register a booking as the front desk."""
        return post(f"{STAFF_PATH}/register_booking", self.hospital.desk.token, **body)

    def list_notification_jobs(self) -> list[tuple[int | None, int, int]]:
        """Return user_id (or None), event type and book_id of the NOTIFY_BOOKING jobs, in the order of enqueueing."""
        payloads = [
            json.loads(row["payload"]) for row in list_rows("outbox", self.hospital) if row["job"] == Job.NOTIFY_BOOKING
        ]
        return [(one["user_id"], one["type"], one["book_id"]) for one in payloads]

    def save_rules(self, **fields: Any) -> ApiResponse:
        """Change booking rules as the admin."""
        return post(f"{STAFF_PATH}/save_booking_rules", self.hospital.admin.token, **fields)


def create_department(hospital: Hospital, name: str = "呼吸内科") -> BookingDepartment:
    """Insert a department, and patient files for Lin and Wang."""
    dept_id = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, name))
    factories.create_patient_file(hospital.lin, "林小雨")
    factories.create_patient_file(hospital.wang, "王强")
    return BookingDepartment(hospital, dept_id)


def freeze_clock(monkeypatch: pytest.MonkeyPatch, time: str, ahead: int = 0) -> None:
    """Set the clock to a time of day, today or so many days ahead of the current day. Staff stay signed in."""
    moment = datetime.fromisoformat(f"{get_iso_date(ahead)}T{time}:00+08:00")
    monkeypatch.setattr(clock, "now", lambda: int(moment.timestamp()) * clock.SECOND)
    monkeypatch.setattr(tokens, "settings", replace(settings, staff_idle_minutes=0))


def create_patient(department: BookingDepartment, number: int) -> Person:
    """Insert another patient with a file."""
    person = factories.create_patient(department.hospital.tenant_id, f"137{number:08}", f"患者{number}")
    factories.create_patient_file(person, f"患者{number}")
    return person


def create_second_account(department: BookingDepartment, patient: Person, phone: str = "13600000001") -> Person:
    """Insert another account whose member has the same patient file."""
    person = factories.create_patient(department.hospital.tenant_id, phone, "林小雨")
    link = """
        UPDATE members SET pati_id = (SELECT pati_id FROM (SELECT pati_id FROM members WHERE member_id = %(linked)s) m)
        WHERE member_id = %(member_id)s
    """
    mysql.autocommit.execute(link, linked=patient.member_id, member_id=person.member_id)
    return person


def get_iso_date(ahead: int) -> str:
    """Return the date so many days from today, as yyyy-mm-dd."""
    return (clock.today() + timedelta(ahead)).isoformat()


def get_weekday(ahead: int) -> int:
    """Return the weekday so many days from today: 1 Monday to 7 Sunday."""
    return date.fromisoformat(get_iso_date(ahead)).isoweekday()


def mark_paid(book_id: Any) -> None:
    """Set the payment state of a booking to PAID, without a payment."""
    statement = "UPDATE bookings SET payment_state = %(paid)s WHERE book_id = %(book_id)s"
    mysql.autocommit.execute(statement, paid=PaymentState.PAID, book_id=book_id)


def mark_seen(book_id: Any) -> None:
    """Record that the doctor has seen the patient of a booking."""
    mysql.autocommit.execute(
        "UPDATE bookings SET seen_at = %(now)s WHERE book_id = %(id)s", now=clock.now(), id=book_id
    )


def set_status(book_id: Any, status: BookingStatus) -> None:
    """Set the status of a booking, without what the endpoints do besides."""
    statement = "UPDATE bookings SET status = %(status)s WHERE book_id = %(book_id)s"
    mysql.autocommit.execute(statement, status=status, book_id=book_id)


def list_rows(table: str, hospital: Hospital) -> list[Row]:
    """Return the tenant's rows of a table, by its first column."""
    return mysql.autocommit.fetch_all(
        f"SELECT * FROM {table} WHERE tenant_id = %(id)s ORDER BY 1", id=hospital.tenant_id
    )
