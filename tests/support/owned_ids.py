"""Create one id of each kind that a request can contain, for a person in a hospital."""

from datetime import date, timedelta
from typing import Any

import requests

from chalicelib.adapters import mysql
from chalicelib.booking.schedules import makeup_store
from chalicelib.identity import internal_keys, sessions, tokens
from tests.support import (
    booking_client,
    consult_client,
    factories,
    front_desk_client,
    gateway_client,
    helpdesk_client,
    inbox_client,
    queue_client,
    staff_client,
)
from tests.support.booking_client import BookingDepartment
from tests.support.client import post
from tests.support.factories import Hospital, Person

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PERSONAL_KINDS = {
    *("consult", "chat", "conversation", "group", "message", "chat_message", "file", "letter", "member", "booking"),
    "login",
    "binding",
    "wait",
}


def create_ids(hospital: Hospital, patient: Person, doctor: Person, text: str, name: str) -> dict[str, list[str]]:
    """Create the data of two persons and their hospital, and return its ids by kind.

    Args:
        text: part of the content of their messages.
        name: part of the names of departments and groups.
    """
    user_id = patient.user_id
    department = booking_client.create_department(hospital, f"科室{user_id}{name}")
    schedule_id = department.create_schedule(doctor_id=doctor.user_id, half="AM")
    inbox_client.send(hospital.desk, f"明日停水{text}", patient, doctor)
    post_id = helpdesk_client.HelpDesk(hospital).create_post(doctor)
    consult = consult_client.create_session(patient, doctor)
    patient_message = consult_client.send_as_patient(patient, doctor, f"您好{text}").data["msg_id"]
    [doctor_message] = helpdesk_client.send_all(doctor, patient, f"您好{text}")
    direct_chat = helpdesk_client.list_conversations(doctor, filtrationId=consult).data[0]["sessionId"]
    desk_chat = helpdesk_client.request_assignment(patient).data["sessionId"]
    conversation = gateway_client.create_conversation(patient)
    gateway_messages = gateway_client.send_all(patient, conversation, f"在吗{text}")
    return {
        "consult": [consult],
        "chat": [direct_chat, desk_chat, consult],
        "conversation": [conversation, consult, direct_chat, desk_chat],
        "group": [conversation, _get_group_number(patient)],
        "message": [patient_message, *gateway_messages],
        "chat_message": [doctor_message, patient_message, *gateway_messages],
        "file": [_upload_file(doctor, consult), _upload_file(patient, consult)],
        "letter": [inbox_client.list_messages(one)[0]["msg_id"] for one in (patient, doctor)],
        "member": [str(patient.member_id)],
        **{kind: [str(user_id)] for kind in ("patient", "session")},
        "doctor": [str(doctor.user_id)],
        "key": [str(internal_keys.authenticate(hospital.internal_key).key_id)],
        "login": [_begin_session(one) for one in (patient, doctor)],
        **_share_file(department, patient),
        "label": [str(factories.create_group(hospital.desk, f"分组{user_id}{name}"))],
        "dept": [str(department.dept_id)],
        "schedule": [schedule_id],
        "pattern": [_create_schedule_pattern(hospital, department.dept_id, doctor)],
        **_enter_days(hospital, doctor),
        "booking": [department.book_slot(patient, schedule_id, 2)],
        "wait": [_wait(department, patient, doctor)],
        "screen": [queue_client.create_screen(hospital, department.dept_id)[0]],
        "post": [post_id],
        "tenant": [str(hospital.tenant_id)],
    }


def _create_schedule_pattern(hospital: Hospital, dept_id: int, doctor: Person) -> str:
    fields: dict[str, Any] = {**booking_client.MORNING, "dept_id": dept_id, "doctor_id": doctor.user_id, "weekday": 1}
    path = f"{booking_client.STAFF_PATH}/save_schedule_pattern"
    return str(post(path, hospital.desk.token, **fields).data["pattern_id"])


def _wait(department: BookingDepartment, patient: Person, doctor: Person) -> str:
    """Return the id of a patient's entry in the waitlist of a half-day whose slot the front desk has booked."""
    schedule_id = department.create_schedule(doctor_id=doctor.user_id, date=booking_client.get_iso_date(2), slots=1)
    other = staff_client.create_patient_file(department.hospital.desk, pati_name=f"候诊{patient.user_id}")
    assert department.book_for_patient(other, schedule_id).status == 200
    return str(department.join_waitlist(patient, schedule_id).data[0]["entryId"])


def _enter_days(hospital: Hospital, doctor: Person) -> dict[str, list[str]]:
    """Enter a leave and a make-up day, in the past and another one for each doctor, as a hospital has each day once."""
    day = booking_client.get_iso_date(300)
    body: dict[str, Any] = {"doctor_id": doctor.user_id, "from_date": day, "to_date": day, "reason": "休假"}
    closure_id = str(post(f"{booking_client.STAFF_PATH}/save_closure", hospital.desk.token, **body).data["closure_id"])
    past = date(2000, 1, 1) + timedelta(doctor.user_id)
    by = hospital.admin.user_id
    makeup_id = mysql.run_transaction(lambda tx: makeup_store.insert(tx, hospital.tenant_id, past, 1, by))
    return {"closure": [closure_id], "makeup": [str(makeup_id)]}


def _begin_session(person: Person) -> str:
    """Return the id that sessions/end takes of a new session."""
    token = tokens.issue(person.tenant_id, person.principal, person.role)
    return tokens.hash_token(token)[: sessions.ID_BYTES].hex()


def _get_pati_id(patient: Person) -> str:
    sql = "SELECT pati_id FROM members WHERE member_id = %(member_id)s"
    return str(mysql.autocommit.fetch_value(sql, member_id=patient.member_id))


def _share_file(department: BookingDepartment, patient: Person) -> dict[str, list[str]]:
    """Merge a new file into a patient's, let another account have it, and return the ids."""
    pati_id, desk = _get_pati_id(patient), department.hospital.desk
    other = staff_client.create_patient_file(desk, pati_name=f"重复档案{pati_id}")
    merged = front_desk_client.merge_patients(desk, other, pati_id).data
    bound = booking_client.create_second_account(department, patient, f"136{patient.user_id:08}")
    return {"pati": [pati_id], "merge": [merged["merge_id"]], "binding": [str(bound.member_id)]}


def _get_group_number(patient: Person) -> str:
    """Return the messagecenter's number of the group that a patient has created."""
    [group] = [one["chatGroupId"] for one in helpdesk_client.list_conversations(patient).data if one["chatGroupId"]]
    return str(group)


def _upload_file(person: Person, session_no: str) -> str:
    file_fields: dict[str, Any] = {"file_extension": "png", "file_type": "image/png", "msg_session": session_no}
    form = post("/msg_service/msg/file/pre_upload", person.token, **file_fields).data
    requests.post(form["url"], form["fields"], files={"file": PNG_SIGNATURE}, timeout=10).raise_for_status()
    return str(form["fileId"])
