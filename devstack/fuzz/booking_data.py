"""Booking data for bin/fuzz: ids that exist, by the names of the fields that take them."""

import json
from datetime import timedelta
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity.callers import Role
from chalicelib.people import departments
from devstack.fuzz.client import Client
from tests.support.factories import Hospital

STAFF_PATH, BOOKING_PATH = "/pati_service/manager_service", "/pati_service/book_service/book"
MORNING = {"half": "AM", "begin": "08:00", "end": "12:00", "slots": 20}
AFTERNOON = {"half": "PM", "begin": "14:00", "end": "17:00", "slots": 20}


def create_schedules(client: Client, hospital: Hospital) -> dict[str, str]:
    """Create a morning that staff may change, one that patients book, an afternoon with a booking, and a pattern."""
    dept_id = mysql.run_transaction(lambda tx: departments.create(tx, hospital.tenant_id, "呼吸内科"))
    tomorrow = clock.today() + timedelta(1)
    days = {"date": tomorrow, "from_date": tomorrow, "to_date": tomorrow + timedelta(7)}
    where = {"dept_id": dept_id, "doctor_id": hospital.chen.user_id, "date": tomorrow.isoformat()}
    desk, lin, member_id = Role.SERVICE_STAFF, Role.PATIENT, hospital.lin.member_id
    editable = _post(client, desk, f"{STAFF_PATH}/save_schedule", **where, **MORNING)
    # Of the same doctor on the next day: the requests of bin/fuzz disable the other doctor.
    next_day = {**where, "date": (tomorrow + timedelta(1)).isoformat()}
    bookable = _post(client, desk, f"{STAFF_PATH}/save_schedule", **next_day, **MORNING)
    clinic = _post(client, desk, f"{STAFF_PATH}/save_schedule", **{**where, "doctor_id": ""}, **AFTERNOON)
    pattern = _post(client, desk, f"{STAFF_PATH}/save_schedule_pattern", **where, **AFTERNOON, weekday=1)
    booked = _post(
        client, lin, f"{BOOKING_PATH}/submit", scheduleId=clinic["schedule_id"], serialNo=1, memberId=member_id
    )
    return {
        **{name: day.isoformat() for name, day in days.items()},
        **dict.fromkeys(("dept_id", "deptId"), str(dept_id)),
        **dict.fromkeys(("bookId", "book_id"), booked["bookId"]),
        "doctorId": str(hospital.zhou.user_id),
        "schedule_id": editable["schedule_id"],
        "scheduleId": bookable["schedule_id"],
        "pattern_id": pattern["pattern_id"],
        "memberId": str(member_id),
    }


def stop_schedules(client: Client, hospital: Hospital, dept_id: str) -> dict[str, dict[str, Any]]:
    """Let another doctor, who is later on leave, see the patient of two mornings; return values by path."""
    desk, lin, member_id = Role.SERVICE_STAFF, Role.PATIENT, hospital.lin.member_id
    changes, booked = [], []
    for days in (4, 5):
        day = (clock.today() + timedelta(days)).isoformat()
        where = {"dept_id": dept_id, "doctor_id": hospital.chen.user_id, "date": day}
        schedule_id = _post(client, desk, f"{STAFF_PATH}/save_schedule", **where, **MORNING)["schedule_id"]
        slot = {"scheduleId": schedule_id, "serialNo": 1, "memberId": member_id}
        booked.append(_post(client, lin, f"{BOOKING_PATH}/submit", **slot)["bookId"])
        changes.append({"schedule_id": schedule_id, "doctor_id": str(hospital.zhou.user_id)})
        _post(client, desk, f"{STAFF_PATH}/substitute_doctor", **changes[-1])
    far = {name: (clock.today() + timedelta(200)).isoformat() for name in ("from_date", "to_date")}
    leave = {"doctor_id": str(hospital.zhou.user_id), **far}
    closure_id = _post(client, desk, f"{STAFF_PATH}/save_closure", **leave, reason="休假")["closure_id"]
    return {
        **_enter_makeup_day(client),
        f"{STAFF_PATH}/save_closure": leave,
        f"{STAFF_PATH}/end_closure": {"closure_id": closure_id},
        f"{STAFF_PATH}/substitute_doctor": changes[0],
        f"{BOOKING_PATH}/accept_alternative": {"bookId": booked[0], "scheduleId": "", "serialNo": None},
        f"{BOOKING_PATH}/decline_alternative": {"bookId": booked[1]},
    }


def _enter_makeup_day(client: Client) -> dict[str, dict[str, Any]]:
    """Enter a Sunday that is worked on; return values by path."""
    sunday = clock.today() + timedelta(100 - (clock.today() + timedelta(100)).isoweekday())
    body = {"date": sunday.isoformat(), "weekday": 1}
    makeup_id = _post(client, Role.ADMIN, f"{STAFF_PATH}/save_makeup_day", **body)["makeup_id"]
    return {f"{STAFF_PATH}/save_makeup_day": body, f"{STAFF_PATH}/end_makeup_day": {"makeup_id": makeup_id}}


def _post(client: Client, role: str, path: str, **body: Any) -> Any:
    return client.post(path, json.dumps(body).encode(), client.get_headers(role)).json()["data"]
