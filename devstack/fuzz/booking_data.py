"""What there is to book in the hospital that bin/fuzz asks: its ids, by the names of the fields that ask for them."""

import json
from datetime import timedelta
from typing import Any, Protocol

import requests

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity.callers import Role
from chalicelib.people import departments
from tests.support.factories import Hospital

STAFF_PATH, BOOKING_PATH = "/pati_service/manager_service", "/pati_service/book_service/book"
MORNING = {"half": "AM", "begin": "08:00", "end": "12:00", "slots": 20}
AFTERNOON = {"half": "PM", "begin": "14:00", "end": "17:00", "slots": 20}


class FuzzClient(Protocol):
    def post(self, path: str, body: bytes, headers: dict[str, str]) -> requests.Response: ...

    def get_headers(self, kind: str) -> dict[str, str]: ...


def create_schedules(door: FuzzClient, hospital: Hospital) -> dict[str, str]:
    """A morning that the desk may change, one that patients book from, an afternoon in which one has, a pattern."""
    dept_id = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, "呼吸内科"))
    tomorrow = clock.today() + timedelta(1)
    days = {"date": tomorrow, "from_date": tomorrow, "to_date": tomorrow + timedelta(7)}
    where = {"dept_id": dept_id, "doctor_id": hospital.chen.user_id, "date": tomorrow.isoformat()}
    desk, lin, member_id = Role.SERVICE_STAFF, Role.PATIENT, hospital.lin.member_id
    own = _post(door, desk, f"{STAFF_PATH}/save_schedule", **where, **MORNING)
    later = {"date": (tomorrow + timedelta(1)).isoformat()}  # of Chen too: the other doctor is locked out on the way
    theirs = _post(door, desk, f"{STAFF_PATH}/save_schedule", **{**where, **later}, **MORNING)
    clinic = _post(door, desk, f"{STAFF_PATH}/save_schedule", **{**where, "doctor_id": ""}, **AFTERNOON)
    pattern = _post(door, desk, f"{STAFF_PATH}/save_schedule_pattern", **where, **AFTERNOON, weekday=1)
    booked = _post(
        door, lin, f"{BOOKING_PATH}/submit", scheduleId=clinic["schedule_id"], serialNo=1, memberId=member_id
    )
    return {
        **{name: day.isoformat() for name, day in days.items()},
        **dict.fromkeys(("dept_id", "deptId"), str(dept_id)),
        **dict.fromkeys(("bookId", "book_id"), booked["bookId"]),
        "doctorId": str(hospital.zhou.user_id),
        "schedule_id": own["schedule_id"],
        "scheduleId": theirs["schedule_id"],
        "pattern_id": pattern["pattern_id"],
        "memberId": str(member_id),
    }


def _post(door: FuzzClient, kind: str, path: str, **body: Any) -> Any:
    return door.post(path, json.dumps(body).encode(), door.get_headers(kind)).json()["data"]
