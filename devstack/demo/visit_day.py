"""A queue of today in the demo hospital, so that the day of the visit can be tried at any time.

Doctor Chen's afternoon of today begins at noon and ends at midnight, and patients can check in all day. Two patients
have checked in, and one can do so.
"""

from datetime import timedelta

from chalicelib import clock
from chalicelib.identity import tokens
from devstack.demo.app_client import BOOK_PATH, PATIENT_PATH, STAFF_PATH, Fields, get, post

AFTERNOON: Fields = {"half": "PM", "begin": "12:00", "end": "23:59", "slots": 24, "type": 1, "area": "门诊楼二层 A 区"}
CHECKIN_RULE: Fields = {"checkin_minutes": 1_440}
OPERATIONS = ("call_again", "skip", "done", "await_results")


def list_values(demo: Fields, desk: str, admin: str) -> dict[str, Fields]:
    """Create what is missing, and return values for the fields of examples, by path.

    Args:
        demo: the content of demo.json, to which the screen is added.
        desk: token of service staff.
        admin: token of an admin.
    """
    post(f"{STAFF_PATH}/save_booking_rules", admin, **CHECKIN_RULE)
    schedule = _find_or_save_schedule(demo["doctors"][0]["doctor_id"], desk)
    (adult, child, *_), (other, *_) = (_list_files(person["token"]) for person in demo["patients"])
    own, first, second = (_add_booking(pati_id, schedule["schedule_id"], desk) for pati_id in (adult, child, other))
    for book_id in (first, second):
        post(f"{STAFF_PATH}/register_booking", desk, book_id=book_id)
    demo["screen"] = _find_or_create_screen(demo, "呼吸内科候诊屏", schedule["dept_id"], admin)
    unused = _find_or_create_unused_screen("停用的候诊屏", schedule["dept_id"], admin)
    place, queue = {"bookId": own}, {"schedule_id": schedule["schedule_id"]}
    return {
        f"{BOOK_PATH}/book/check_in": {**place, "code": _get_code(schedule["dept_id"], desk)},
        f"{BOOK_PATH}/queue_place": place,
        f"{STAFF_PATH}/queue": queue,
        f"{STAFF_PATH}/queue/call_next": {**queue, "current": ""},
        **{f"{STAFF_PATH}/queue/{one}": {**queue, "bookId": first} for one in OPERATIONS},
        f"{STAFF_PATH}/register_booking": {"bookId": second},
        f"{STAFF_PATH}/checkin_code": {"dept_id": schedule["dept_id"]},
        f"{STAFF_PATH}/replace_checkin_code": {"dept_id": _find_other_department(schedule["dept_id"], desk)},
        f"{STAFF_PATH}/revoke_screen": {"screen_id": unused},
        f"{STAFF_PATH}/save_booking_rules": CHECKIN_RULE,
    }


def _find_or_save_schedule(doctor_id: str, desk: str) -> Fields:
    """Return schedule_id and dept_id of the doctor's afternoon of today."""
    today = clock.today().isoformat()
    query = {"doctor_id": doctor_id, "from_date": today, "to_date": (clock.today() + timedelta(7)).isoformat()}
    found: list[Fields] = get(f"{STAFF_PATH}/schedules", desk, **query, page_size=50)["list"]
    known = [one for one in found if (one["date"], one["half"]) == (today, "PM") and not one["stopped"]]
    if known:
        return known[0]
    dept_id = found[0]["dept_id"]
    terms = {**AFTERNOON, "doctor_id": doctor_id, "dept_id": dept_id, "date": today}
    return {**post(f"{STAFF_PATH}/save_schedule", desk, **terms), "dept_id": dept_id}


def _list_files(token: str) -> list[str]:
    return [one["bindPatiId"] for one in get(f"{PATIENT_PATH}/members", token)]


def _add_booking(pati_id: str, schedule_id: str, desk: str) -> str:
    """Return the patient's booking of an additional slot, which can be made at any time of the half-day."""
    booked = post(f"{STAFF_PATH}/add_booking", desk, pati_id=pati_id, schedule_id=schedule_id)
    return str(booked["book_id"])


def _get_code(dept_id: str, desk: str) -> str:
    known = get(f"{STAFF_PATH}/checkin_code", desk, dept_id=dept_id)
    return str(known["code"] or post(f"{STAFF_PATH}/replace_checkin_code", desk, dept_id=dept_id)["code"])


def _find_or_create_screen(demo: Fields, name: str, dept_id: str, admin: str) -> Fields:
    """Return screen_id and key of the demo's screen."""
    known: Fields = demo.get("screen", {})
    return known if tokens.find_session(known.get("key", "")) else _create_screen(name, dept_id, admin)


def _create_screen(name: str, dept_id: str, admin: str) -> Fields:
    created: Fields = post(f"{STAFF_PATH}/create_screen", admin, name=name, dept_id=dept_id)
    return created


def _find_or_create_unused_screen(name: str, dept_id: str, admin: str) -> str:
    listed: list[Fields] = get(f"{STAFF_PATH}/screens", admin)
    known = [one["screen_id"] for one in listed if one["name"] == name and not one["revoked_time"]]
    return str(known[0] if known else _create_screen(name, dept_id, admin)["screen_id"])


def _find_other_department(dept_id: str, desk: str) -> str:
    """Return a department whose code can be replaced without that of the examples becoming invalid."""
    return next(str(one["dept_id"]) for one in get(f"{STAFF_PATH}/departments", desk) if one["dept_id"] != dept_id)
