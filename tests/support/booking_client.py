"""What a hospital's pages ask of booking, in the words of the tests."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.people import departments
from tests.support import factories
from tests.support.client import Answer, get, post
from tests.support.factories import Hospital, Person

PUBLIC_PATH = "/pati_service/tenant_service"
BOOKING_PATH = "/pati_service/book_service"
STAFF_PATH = "/pati_service/manager_service"
MORNING = {"half": "AM", "begin": "08:00", "end": "12:00", "slots": 4, "type": 1, "bookfee": 12.5, "area": "A 区"}
AFTERNOON = {**MORNING, "half": "PM", "begin": "14:00", "end": "17:00", "slots": 3}


@dataclass(frozen=True)
class BookingDepartment:
    """A department of a hospital, with Lin and Wang who have patient files."""

    hospital: Hospital
    dept_id: int

    @property
    def tenant_headers(self) -> dict[str, str]:
        return {"tenantId": str(self.hospital.tenant_id)}

    def get_public(self, path: str, **query: Any) -> Answer:
        """As a visitor without a token."""
        return get(f"{PUBLIC_PATH}/{path}", headers=self.tenant_headers, **query)

    def save_schedule(self, person: Person | None = None, **fields: Any) -> Answer:
        """Save a morning of Doctor Chen tomorrow, but for these fields; None leaves one out."""
        known = {"dept_id": self.dept_id, "doctor_id": self.hospital.chen.user_id, "date": get_iso_date(1), **MORNING}
        body = {name: value for name, value in {**known, **fields}.items() if value is not None}
        return post(f"{STAFF_PATH}/save_schedule", (person or self.hospital.desk).token, **body)

    def create_schedule(self, **fields: Any) -> str:
        """Make a schedule; returns its id."""
        return str(self.save_schedule(**fields).data["schedule_id"])

    def list_free_serial_nos(self, schedule_id: Any) -> list[int]:
        """Return the serial numbers that visitors are offered."""
        return [one["serialNo"] for one in self.get_public("schedule/left_appo", scheduleId=schedule_id).data]

    def submit(
        self, person: Person, schedule_id: Any, serial_no: Any = 1, member_id: Any = None, key: str = ""
    ) -> Answer:
        member = person.member_id if member_id is None else member_id
        body = {"scheduleId": schedule_id, "serialNo": serial_no, "memberId": member}
        return post(
            f"{BOOKING_PATH}/book/submit", person.token, headers={"Idempotency-Key": key} if key else None, **body
        )

    def book_slot(self, person: Person, schedule_id: Any, serial_no: int = 1) -> str:
        """Book a slot; returns bookId."""
        return str(self.submit(person, schedule_id, serial_no).data["bookId"])

    def cancel(self, person: Person, book_id: Any) -> Answer:
        return post(f"{BOOKING_PATH}/book/cancel", person.token, bookId=book_id)

    def get_booking(self, person: Person, book_id: Any) -> Answer:
        return get(f"{BOOKING_PATH}/book/{book_id}", person.token)

    def get_status(self, person: Person, book_id: Any) -> int:
        return int(self.get_booking(person, book_id).data["bookStatus"])

    def stop_schedule(self, schedule_id: Any, person: Person | None = None) -> Answer:
        return post(f"{STAFF_PATH}/stop_schedule", (person or self.hospital.desk).token, schedule_id=schedule_id)

    def register(self, **which: Any) -> Answer:
        return post(f"{STAFF_PATH}/register_booking", self.hospital.desk.token, **which)

    def list_notification_jobs(self) -> list[tuple[int, int, int]]:
        """Return what was promised to be told: user_id, type of event and booking, in the order of the promises."""
        found = [
            json.loads(row["payload"]) for row in list_rows("outbox", self.hospital) if row["job"] == "notify_booking"
        ]
        return [(one["user_id"], one["type"], one["book_id"]) for one in found]

    def save_rules(self, **fields: Any) -> Answer:
        return post(f"{STAFF_PATH}/save_booking_rules", self.hospital.admin.token, **fields)


def create_department(hospital: Hospital, name: str = "呼吸内科") -> BookingDepartment:
    dept_id = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, name))
    factories.create_patient_file(hospital.lin, "林小雨")
    factories.create_patient_file(hospital.wang, "王强")
    return BookingDepartment(hospital, dept_id)


def freeze_clock(monkeypatch: pytest.MonkeyPatch, time: str, ahead: int = 0) -> None:
    """From here on it is that time, today or so many days later."""
    moment = datetime.fromisoformat(f"{get_iso_date(ahead)}T{time}:00+08:00")
    monkeypatch.setattr(clock, "now", lambda: int(moment.timestamp()) * clock.SECOND)


def create_patient(department: BookingDepartment, number: int) -> Person:
    """Another patient with a file."""
    person = factories.create_patient(department.hospital.tenant_id, f"137{number:08}", f"患者{number}")
    factories.create_patient_file(person, f"患者{number}")
    return person


def create_second_account(department: BookingDepartment, whose: Person, phone: str = "13600000001") -> Person:
    """Another account that has the same person, by the patient file, among its members."""
    person = factories.create_patient(department.hospital.tenant_id, phone, "林小雨")
    link = """
        UPDATE members SET pati_id = (SELECT pati_id FROM (SELECT pati_id FROM members WHERE member_id = %(of)s) m)
        WHERE member_id = %(member_id)s
    """
    mysql.autocommit.execute(link, of=whose.member_id, member_id=person.member_id)
    return person


def get_iso_date(ahead: int) -> str:
    """Return the date so many days from today."""
    return (clock.today() + timedelta(ahead)).isoformat()


def get_weekday(ahead: int) -> int:
    return date.fromisoformat(get_iso_date(ahead)).isoweekday()


def list_rows(table: str, hospital: Hospital) -> list[Row]:
    return mysql.autocommit.fetch_all(
        f"SELECT * FROM {table} WHERE tenant_id = %(id)s ORDER BY 1", id=hospital.tenant_id
    )
