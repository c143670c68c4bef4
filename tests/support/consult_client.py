"""Requests of patient-doctor chat, as a patient's and a doctor's client send them."""

from typing import Any

from tests.support import multipart_forms
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person
from tests.support.file_samples import VALID

INSERT_SESSION = "/msg_service/msg/patient/insert_session"
PATIENT_TEXT = "/msg_service/msg/patient/send_text_msg"
PATIENT_LIST = "/msg_service/msg/patient/msg_list"
DOCTOR_TEXT = "/msg_service/msg/doctor/send_text_msg"
DOCTOR_LIST = "/msg_service/msg/doctor/msg_list"
PATIENT_SESSIONS = "/msg_service/msg/patient/session_list"
DOCTOR_SESSIONS = "/msg_service/msg/doctor/session_list"
PATIENT_NEW_SESSION = "/msg_service/msg/patient/new_session"
DOCTOR_NEW_SESSION = "/msg_service/msg/doctor/new_session"
PATIENT_NEW_MSG = "/msg_service/msg/patient/new_msg"
DOCTOR_NEW_MSG = "/msg_service/msg/doctor/new_msg"
PATIENT_DEL = "/msg_service/msg/patient/session_del"
DOCTOR_DEL = "/msg_service/msg/doctor/session_del"
PRE_UPLOAD = "/msg_service/msg/file/pre_upload"
PATIENT_FILE = "/msg_service/msg/patient/send_res_msg"
DOCTOR_FILE = "/msg_service/msg/doctor/send_res_msg"


def create_session(patient: Person, doctor: Person) -> str:
    """Return the session_no of a patient's own session with a doctor."""
    response = post(INSERT_SESSION, patient.token, member_id=patient.member_id, doctor_id=doctor.user_id)
    return str(response.data["session_no"])


def send_as_patient(patient: Person, doctor: Person, message: str, key: str = "", **more: Any) -> ApiResponse:
    headers = {"Idempotency-Key": key} if key else {}
    fields = {"member_id": patient.member_id, "doctor_id": doctor.user_id, "message": message, **more}
    return post(PATIENT_TEXT, patient.token, headers, **fields)


def send_as_doctor(doctor: Person, session_no: str, message: str, key: str = "") -> ApiResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return post(DOCTOR_TEXT, doctor.token, headers, session_no=session_no, message=message)


def request_form(person: Person, session_no: str) -> dict[str, Any]:
    """Request an upload form for a JPEG picture."""
    fields: dict[str, Any] = {"file_extension": "jpg", "file_type": "image/jpeg", "msg_session": session_no}
    return dict(post(PRE_UPLOAD, person.token, **fields).data)


def upload_picture(person: Person, session_no: str, content: bytes = VALID["jpg"]) -> int:
    """Upload a picture and return its file_id."""
    form = request_form(person, session_no)
    assert multipart_forms.post_form(form["url"], list(form["fields"].items()), content).status == 204
    return int(form["fileId"])


def send_picture_as_patient(
    patient: Person, doctor: Person, file_id: object, key: str = "", **more: object
) -> ApiResponse:
    headers = {"Idempotency-Key": key} if key else {}
    fields = {"member_id": patient.member_id, "doctor_id": doctor.user_id, "file_id": file_id, **more}
    return post(PATIENT_FILE, patient.token, headers, **fields)


def send_picture_as_doctor(doctor: Person, session_no: str, file_id: object) -> ApiResponse:
    return post(DOCTOR_FILE, doctor.token, session_no=session_no, file_id=file_id)


def list_as_patient(patient: Person, session_no: str, page_size: int = 100, **more: Any) -> ApiResponse:
    query = {"session_no": session_no, "page_size": page_size, "member_id": patient.member_id, **more}
    return get(PATIENT_LIST, patient.token, **query)


def list_as_doctor(doctor: Person, session_no: str, page_size: int = 100, **more: Any) -> ApiResponse:
    return get(DOCTOR_LIST, doctor.token, session_no=session_no, page_size=page_size, **more)


def list_texts(response: ApiResponse) -> list[str]:
    return [message["message"] for message in response.data]


def list_patient_sessions(patient: Person, **query: Any) -> list[dict[str, Any]]:
    return list(get(PATIENT_SESSIONS, patient.token, **query).data)


def list_doctor_sessions(doctor: Person, page_size: int = 100, **query: Any) -> list[dict[str, Any]]:
    return list(get(DOCTOR_SESSIONS, doctor.token, page_size=page_size, **query).data)
