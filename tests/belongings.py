"""What somebody in a hospital has: one id of each kind that a request can name."""

from typing import Any

import requests

from chalicelib.adapters import mysql
from tests import people
from tests.booking import ward as wards
from tests.consult import chat
from tests.gateway import talk
from tests.helpdesk import desk
from tests.inbox import box
from tests.people import Hospital, Person
from tests.wire import post

PICTURE = b"\x89PNG\r\n\x1a\n"
OF_A_PERSON = {
    *("consult", "chat", "conversation", "group", "message", "chat_message", "file", "letter", "member", "booking")
}


def owned(hospital: Hospital, patient: Person, doctor: Person, said: str, named: str) -> dict[str, list[str]]:
    """Return ids by kind: of what these two have, and of what their hospital has; said stands in what they write, named
    in the hospital's own names."""
    person = patient.user_id
    ward = wards.ward(hospital, f"科室{person}{named}")
    clinic = ward.schedule(doctor_id=doctor.user_id, half="AM")
    pattern: dict[str, Any] = {**wards.MORNING, "dept_id": ward.dept_id, "doctor_id": doctor.user_id, "weekday": 1}
    weekly = post(f"{wards.DESK}/save_schedule_pattern", hospital.desk.token, **pattern).data["pattern_id"]
    box.send(hospital.desk, f"明日停水{said}", patient, doctor)
    position = desk.Desk(hospital).post(doctor)
    consult = chat.opened(patient, doctor)
    asked = chat.ask(patient, doctor, f"您好{said}").data["msg_id"]
    [told] = desk.told(doctor, patient, f"您好{said}")
    direct = desk.listed(doctor, filtrationId=consult).data[0]["sessionId"]
    at_desk = desk.shunt(patient).data["sessionId"]
    room = talk.made(patient)
    written = talk.sent(patient, room, f"在吗{said}")
    return {
        "consult": [consult],
        "chat": [direct, at_desk, consult],
        "conversation": [room, consult, direct, at_desk],
        "group": [room, _number(patient)],
        "message": [asked, *written],
        "chat_message": [told, asked, *written],
        "file": [_file(doctor, consult), _file(patient, consult)],
        "letter": [box.listed(one)[0]["msg_id"] for one in (patient, doctor)],
        "member": [str(patient.member_id)],
        "patient": [str(person)],
        "doctor": [str(doctor.user_id)],
        "session": [str(person)],
        "pati": [_pati(patient)],
        "label": [str(people.group(hospital.desk, f"分组{person}{named}"))],
        "dept": [str(ward.dept_id)],
        "schedule": [clinic],
        "pattern": [weekly],
        "booking": [ward.booked(patient, clinic, 2)],
        "post": [position],
        "tenant": [str(hospital.tenant_id)],
    }


def _pati(patient: Person) -> str:
    find = "SELECT pati_id FROM members WHERE member_id = %(member_id)s"
    return str(mysql.run_autocommit(lambda tx: tx.fetch_value(find, member_id=patient.member_id)))


def _number(patient: Person) -> str:
    """The messagecenter's number of the group that a patient has made."""
    [group] = [one["chatGroupId"] for one in desk.listed(patient).data if one["chatGroupId"]]
    return str(group)


def _file(person: Person, session_no: str) -> str:
    wanted: dict[str, Any] = {"file_extension": "png", "file_type": "image/png", "msg_session": session_no}
    form = post("/msg_service/msg/file/pre_upload", person.token, **wanted).data
    requests.post(form["url"], form["fields"], files={"file": PICTURE}, timeout=10).raise_for_status()
    return str(form["fileId"])
