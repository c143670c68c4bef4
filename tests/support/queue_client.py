"""Client for check-in and for the queue of a schedule."""

from dataclasses import dataclass
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.people import departments
from tests.support import booking_client
from tests.support.booking_client import BOOKING_PATH, MORNING, STAFF_PATH, BookingDepartment
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person


@dataclass(frozen=True)
class QueueClient:
    """The queue of a schedule, which Doctor Chen operates unless another person is given."""

    department: BookingDepartment
    schedule_id: str

    def show(self, person: Person | None = None) -> ApiResponse:
        return get(f"{STAFF_PATH}/queue", self._get_token(person), schedule_id=self.schedule_id)

    def call_next(self, current: Any = "", person: Person | None = None) -> ApiResponse:
        """Call the next patient; `current` is whom the page shows as current."""
        return self._post("call_next", person, current=current)

    def call_again(self, book_id: Any, person: Person | None = None) -> ApiResponse:
        return self._post("call_again", person, book_id=book_id)

    def skip(self, book_id: Any, person: Person | None = None) -> ApiResponse:
        return self._post("skip", person, book_id=book_id)

    def finish(self, book_id: Any, person: Person | None = None) -> ApiResponse:
        return self._post("done", person, book_id=book_id)

    def await_results(self, book_id: Any, person: Person | None = None) -> ApiResponse:
        return self._post("await_results", person, book_id=book_id)

    def list_waiting(self) -> list[str]:
        """Return the bookings of those who wait, in their order."""
        return [one["book_id"] for one in self.show().data["waiting"]]

    def get_current(self) -> str:
        """Return the booking of the current patient, "" for none."""
        current = self.show().data["current"]
        return str(current["book_id"]) if current else ""

    def _post(self, path: str, person: Person | None, **body: Any) -> ApiResponse:
        return post(f"{STAFF_PATH}/queue/{path}", self._get_token(person), schedule_id=self.schedule_id, **body)

    def _get_token(self, person: Person | None) -> str:
        return (person or self.department.hospital.chen).token


def create_queue(department: BookingDepartment, **schedule: Any) -> QueueClient:
    """Create a schedule of tomorrow morning, with a slot every five minutes from 08:00."""
    return QueueClient(department, department.create_schedule(**{**MORNING, "slots": 48, "bookfee": 0, **schedule}))


def book(queue: QueueClient, number: int, serial_no: int) -> tuple[Person, str]:
    """Book a slot for a new patient; return both."""
    person = booking_client.create_patient(queue.department, number)
    return person, queue.department.book_slot(person, queue.schedule_id, serial_no)


def replace_code(department: BookingDepartment, person: Person | None = None) -> str:
    """Give the department another check-in code and return it."""
    token = (person or department.hospital.desk).token
    return str(post(f"{STAFF_PATH}/replace_checkin_code", token, dept_id=department.dept_id).data["code"])


def check_in(person: Person, book_id: Any, code: Any) -> ApiResponse:
    return post(f"{BOOKING_PATH}/book/check_in", person.token, bookId=book_id, code=code)


def get_place(person: Person, book_id: Any) -> ApiResponse:
    return get(f"{BOOKING_PATH}/queue_place", person.token, bookId=book_id)


def create_screen(hospital: Hospital, dept_id: Any = None, area: str = "") -> tuple[str, str]:
    """Create a screen, in a new department unless one is given; return its screen_id and its device key."""
    if dept_id is None:
        dept_id = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, f"科室{clock.now()}"))
    body = {"name": "候诊屏", "dept_id": dept_id, "area": area}
    created = post(f"{STAFF_PATH}/create_screen", hospital.admin.token, **body).data
    return str(created["screen_id"]), str(created["key"])


def read_screen(key: str) -> ApiResponse:
    return get(f"{BOOKING_PATH}/screen", key)
