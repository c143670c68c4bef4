"""Document 000: patient-doctor chat."""

from chalicelib.consult import messages, sessions
from chalicelib.consult.models import (
    DoctorPage,
    DoctorText,
    MessageForDoctor,
    MessageForPatient,
    Pair,
    PatientPage,
    PatientText,
    Sent,
    SentByPatient,
    SessionNo,
)
from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.identity.callers import DOCTOR, PATIENT, Caller
from chalicelib.web import Key, Routes

routes = Routes(__name__)


@routes.post("/msg_service/msg/patient/insert_session", callers=[PATIENT], refusals=[NOT_FOUND])
def insert_session(caller: Caller, body: Pair) -> SessionNo:
    """患者选择医生创建会话

    One session for each member and doctor: asking again returns the same one.
    """
    return sessions.open(caller, body)


@routes.post("/msg_service/msg/patient/send_text_msg", callers=[PATIENT], refusals=[NOT_FOUND, CONFLICT])
def patient_send_text_msg(caller: Caller, body: PatientText, key: Key) -> SentByPatient:
    """患者选择医生发送文字消息

    Without session_no the session of the member and the doctor is opened if need be. Sent again with the same
    Idempotency-Key (or client_msg_id) it is the same message; the same key with another text is a 409.
    """
    return messages.send_as_patient(caller, body, key)


@routes.get("/msg_service/msg/patient/msg_list", callers=[PATIENT], refusals=[NOT_FOUND])
def patient_msg_list(caller: Caller, query: PatientPage) -> list[MessageForPatient]:
    """患者获取历史消息列表

    Newest first; with msg_id the messages strictly older than that one.
    """
    return messages.list_for_patient(caller, query)


@routes.post("/msg_service/msg/doctor/send_text_msg", callers=[DOCTOR], refusals=[NOT_FOUND, CONFLICT])
def doctor_send_text_msg(caller: Caller, body: DoctorText, key: Key) -> Sent:
    """医生发送文字消息

    Sent again with the same Idempotency-Key (or client_msg_id) it is the same message.
    """
    return messages.send_as_doctor(caller, body, key)


@routes.get("/msg_service/msg/doctor/msg_list", callers=[DOCTOR], refusals=[NOT_FOUND])
def doctor_msg_list(caller: Caller, query: DoctorPage) -> list[MessageForDoctor]:
    """医生获取历史会话消息列表

    Newest first; with msg_id the messages strictly older than that one.
    """
    return messages.list_for_doctor(caller, query)
