"""Endpoints of patient-doctor chat, document 000."""

from chalicelib.consult import messages, session_lists, sessions, uploads
from chalicelib.consult.models import (
    DoctorFileRequest,
    DoctorMessagesQuery,
    DoctorNewestQuery,
    DoctorSessionsQuery,
    DoctorTextRequest,
    HideSessionRequest,
    MemberAndDoctor,
    MessageForDoctor,
    MessageForPatient,
    PatientFileRequest,
    PatientMessagesQuery,
    PatientNewestQuery,
    PatientSendFileResponse,
    PatientSendResponse,
    PatientSessionsQuery,
    PatientTextRequest,
    SendFileResponse,
    SendResponse,
    SessionForDoctor,
    SessionForPatient,
    SessionNo,
)
from chalicelib.consult.upload_models import ConfirmedFile, UploadedFile, UploadForm, UploadRequest
from chalicelib.errors import CONFLICT, CONSENT_REQUIRED, NOT_FOUND, RATE_LIMITED
from chalicelib.http.routing import IdempotencyKeyHeader, RateLimit, Routes, ScriptBatch
from chalicelib.identity.callers import Caller, Role

routes = Routes(__name__)


@routes.post(
    "/msg_service/msg/patient/insert_session",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONSENT_REQUIRED],
    limit=RateLimit.CONVERSATIONS,
)
def insert_session(caller: Caller, body: MemberAndDoctor) -> SessionNo:
    """患者选择医生创建会话

    A member and a doctor have one session: repeated requests return the same one.
    """
    return sessions.get_or_create(caller, body)


@routes.post(
    "/msg_service/msg/patient/send_text_msg",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, CONSENT_REQUIRED],
    batch=messages.prepare_send,
    limit=RateLimit.MESSAGES,
)
def patient_send_text_msg(
    caller: Caller, body: PatientTextRequest, idempotency_key: IdempotencyKeyHeader, batch: ScriptBatch | None
) -> PatientSendResponse:
    """患者选择医生发送文字消息

    Without session_no, the session of the member and the doctor is used, and created if there is none. Requests with
    the same Idempotency-Key (or client_msg_id) send one message; 409 if the key was used for another text.
    """
    return messages.send_as_patient(caller, body, idempotency_key, batch)


@routes.get(
    "/msg_service/msg/patient/msg_list", callers=[Role.PATIENT], errors=[NOT_FOUND], batch=messages.prepare_page
)
def patient_msg_list(caller: Caller, query: PatientMessagesQuery, batch: ScriptBatch | None) -> list[MessageForPatient]:
    """患者获取历史消息列表

    Newest first; with msg_id, the messages strictly older than that one, which is left out, unlike in
    `get_conversation_30msg_before_the_id` of document 004.
    """
    return messages.list_for_patient(caller, query, batch)


@routes.get("/msg_service/msg/patient/session_list", callers=[Role.PATIENT], batch=session_lists.prepare)
def patient_session_list(
    caller: Caller, query: PatientSessionsQuery, batch: ScriptBatch | None
) -> list[SessionForPatient]:
    """患者获取历史会话列表

    By newest message, or creation while there is none, latest first; with doctor_name, those whose doctor's name
    contains it.
    """
    return session_lists.list_for_patient(caller, query, batch)


@routes.get("/msg_service/msg/patient/new_session", callers=[Role.PATIENT], batch=session_lists.prepare)
def patient_new_session(caller: Caller, batch: ScriptBatch | None) -> SessionForPatient | None:
    """患者获取最新会话

    The first session of the list; null if there is none.
    """
    return session_lists.find_newest_for_patient(caller, batch)


@routes.get("/msg_service/msg/patient/new_msg", callers=[Role.PATIENT], errors=[NOT_FOUND], batch=messages.prepare_page)
def patient_new_msg(caller: Caller, query: PatientNewestQuery, batch: ScriptBatch | None) -> MessageForPatient | None:
    """患者获取当前会话最新消息

    null if the session has no messages. The message is not marked as read.
    """
    return messages.find_newest_for_patient(caller, query, batch)


@routes.post(
    "/msg_service/msg/patient/send_res_msg",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, CONSENT_REQUIRED],
    limit=RateLimit.MESSAGES,
)
def patient_send_res_msg(
    caller: Caller, body: PatientFileRequest, idempotency_key: IdempotencyKeyHeader
) -> PatientSendFileResponse:
    """患者选择医生发送资源消息

    The sender must have requested the upload for this session (file/pre_upload), else 404; 409 if the file has not been
    uploaded or its content is of a kind that is not accepted.
    """
    return messages.send_file_as_patient(caller, body, idempotency_key)


@routes.post("/msg_service/msg/patient/session_del", callers=[Role.PATIENT], errors=[NOT_FOUND])
def patient_session_del(caller: Caller, body: HideSessionRequest) -> None:
    """患者删除会话

    Removes the session from the caller's own list until its next message.
    """
    return sessions.hide(caller, body.session_id)


@routes.post(
    "/msg_service/msg/doctor/send_text_msg",
    callers=[Role.DOCTOR],
    errors=[NOT_FOUND, CONFLICT],
    batch=messages.prepare_send,
    limit=RateLimit.MESSAGES,
)
def doctor_send_text_msg(
    caller: Caller, body: DoctorTextRequest, idempotency_key: IdempotencyKeyHeader, batch: ScriptBatch | None
) -> SendResponse:
    """医生发送文字消息

    Requests with the same Idempotency-Key (or client_msg_id) send one message.
    """
    return messages.send_as_doctor(caller, body, idempotency_key, batch)


@routes.get("/msg_service/msg/doctor/msg_list", callers=[Role.DOCTOR], errors=[NOT_FOUND], batch=messages.prepare_page)
def doctor_msg_list(caller: Caller, query: DoctorMessagesQuery, batch: ScriptBatch | None) -> list[MessageForDoctor]:
    """医生获取历史会话消息列表

    Newest first; with msg_id, the messages strictly older than that one, which is left out.
    """
    return messages.list_for_doctor(caller, query, batch)


@routes.get("/msg_service/msg/doctor/session_list", callers=[Role.DOCTOR], batch=session_lists.prepare)
def doctor_session_list(
    caller: Caller, query: DoctorSessionsQuery, batch: ScriptBatch | None
) -> list[SessionForDoctor]:
    """医生获取历史会话列表

    By newest message, or creation while there is none, latest first; with msg_id (the smallest last_msg_id of the page
    before), those that follow.
    """
    return session_lists.list_for_doctor(caller, query, batch)


@routes.get("/msg_service/msg/doctor/new_session", callers=[Role.DOCTOR], batch=session_lists.prepare)
def doctor_new_session(caller: Caller, batch: ScriptBatch | None) -> SessionForDoctor | None:
    """医生获取最新会话

    The first session of the list; null if there is none.
    """
    return session_lists.find_newest_for_doctor(caller, batch)


@routes.get("/msg_service/msg/doctor/new_msg", callers=[Role.DOCTOR], errors=[NOT_FOUND], batch=messages.prepare_page)
def doctor_new_msg(caller: Caller, query: DoctorNewestQuery, batch: ScriptBatch | None) -> MessageForDoctor | None:
    """医生获取会话最新消息

    null if the session has no messages. The message is not marked as read.
    """
    return messages.find_newest_for_doctor(caller, query, batch)


@routes.post(
    "/msg_service/msg/doctor/send_res_msg",
    callers=[Role.DOCTOR],
    errors=[NOT_FOUND, CONFLICT],
    limit=RateLimit.MESSAGES,
)
def doctor_send_res_msg(
    caller: Caller, body: DoctorFileRequest, idempotency_key: IdempotencyKeyHeader
) -> SendFileResponse:
    """医生发送资源消息

    The sender must have requested the upload for this session (doctor/file/pre_upload), else 404; 409 if the file has
    not been uploaded or its content is of a kind that is not accepted.
    """
    return messages.send_file_as_doctor(caller, body, idempotency_key)


@routes.post("/msg_service/msg/doctor/session_del", callers=[Role.DOCTOR], errors=[NOT_FOUND])
def doctor_session_del(caller: Caller, body: HideSessionRequest) -> None:
    """医生删除会话

    Removes the session from the caller's own list until its next message.
    """
    return sessions.hide(caller, body.session_id)


@routes.post("/msg_service/msg/file/pre_upload", callers=[Role.PATIENT, Role.DOCTOR], errors=[NOT_FOUND, RATE_LIMITED])
def pre_upload(caller: Caller, body: UploadRequest) -> UploadForm:
    """聊天文件预上传

    A form that uploads one file into one of the caller's sessions. Post all `fields` unchanged to `url`
    (multipart/form-data), and `file` last: S3 responds with 204. The other names repeat values of the form under the
    names of the protocol; without the rest of the form S3 rejects them.
    """
    return uploads.create_form(caller, body)


@routes.post(
    "/msg_service/msg/doctor/file/pre_upload", callers=[Role.PATIENT, Role.DOCTOR], errors=[NOT_FOUND, RATE_LIMITED]
)
def doctor_pre_upload(caller: Caller, body: UploadRequest) -> UploadForm:
    """聊天文件预上传

    The same as /msg_service/msg/file/pre_upload: clients use both paths.
    """
    return uploads.create_form(caller, body)


@routes.post(
    "/msg_service/msg/doctor/file/upload_access", callers=[Role.PATIENT, Role.DOCTOR], errors=[NOT_FOUND, CONFLICT]
)
def upload_access(caller: Caller, body: UploadedFile) -> ConfirmedFile:
    """聊天文件确认已上传

    Checks the uploaded file. 409 if it has not been uploaded or its content is of a kind that is not accepted.
    """
    return uploads.confirm_upload(caller, body)
