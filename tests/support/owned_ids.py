"""What somebody in a hospital has: one id of each kind that a request can name."""

from typing import Any

import requests

from chalicelib.adapters import mysql
from tests.support import booking_client as wards
from tests.support import consult_client, factories, gateway_client, helpdesk_client, inbox_client
from tests.support.client import post
from tests.support.factories import Hospital, Person

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PERSONAL_KINDS = {
    *("consult", "chat", "conversation", "group", "message", "chat_message", "file", "letter", "member", "booking")
}


def create_ids(hospital: Hospital, patient: Person, doctor: Person, said: str, named: str) -> dict[str, list[str]]:
    """Return ids by kind: of what these two have, and of what their hospital has; said stands in what they write, named
    in the hospital's own names."""
    person = patient.user_id
    ward = wards.create_department(hospital, f"科室{person}{named}")
    clinic = ward.create_schedule(doctor_id=doctor.user_id, half="AM")
    pattern: dict[str, Any] = {**wards.MORNING, "dept_id": ward.dept_id, "doctor_id": doctor.user_id, "weekday": 1}
    weekly = post(f"{wards.STAFF_PATH}/save_schedule_pattern", hospital.desk.token, **pattern).data["pattern_id"]
    inbox_client.send(hospital.desk, f"明日停水{said}", patient, doctor)
    position = helpdesk_client.HelpDesk(hospital).create_post(doctor)
    consult = consult_client.create_session(patient, doctor)
    asked = consult_client.send_as_patient(patient, doctor, f"您好{said}").data["msg_id"]
    [told] = helpdesk_client.send_all(doctor, patient, f"您好{said}")
    direct = helpdesk_client.list_conversations(doctor, filtrationId=consult).data[0]["sessionId"]
    at_desk = helpdesk_client.request_assignment(patient).data["sessionId"]
    room = gateway_client.create_conversation(patient)
    written = gateway_client.send_all(patient, room, f"在吗{said}")
    return {
        "consult": [consult],
        "chat": [direct, at_desk, consult],
        "conversation": [room, consult, direct, at_desk],
        "group": [room, _get_group_number(patient)],
        "message": [asked, *written],
        "chat_message": [told, asked, *written],
        "file": [_upload_file(doctor, consult), _upload_file(patient, consult)],
        "letter": [inbox_client.list_messages(one)[0]["msg_id"] for one in (patient, doctor)],
        "member": [str(patient.member_id)],
        "patient": [str(person)],
        "doctor": [str(doctor.user_id)],
        "session": [str(person)],
        "pati": [_get_pati_id(patient)],
        "label": [str(factories.create_group(hospital.desk, f"分组{person}{named}"))],
        "dept": [str(ward.dept_id)],
        "schedule": [clinic],
        "pattern": [weekly],
        "booking": [ward.book_slot(patient, clinic, 2)],
        "post": [position],
        "tenant": [str(hospital.tenant_id)],
    }


def _get_pati_id(patient: Person) -> str:
    find = "SELECT pati_id FROM members WHERE member_id = %(member_id)s"
    return str(mysql.autocommit.fetch_value(find, member_id=patient.member_id))


def _get_group_number(patient: Person) -> str:
    """The messagecenter's number of the group that a patient has made."""
    [group] = [one["chatGroupId"] for one in helpdesk_client.list_conversations(patient).data if one["chatGroupId"]]
    return str(group)


def _upload_file(person: Person, session_no: str) -> str:
    wanted: dict[str, Any] = {"file_extension": "png", "file_type": "image/png", "msg_session": session_no}
    form = post("/msg_service/msg/file/pre_upload", person.token, **wanted).data
    requests.post(form["url"], form["fields"], files={"file": PNG_SIGNATURE}, timeout=10).raise_for_status()
    return str(form["fileId"])
