"""Send and read messages of a consultation, as its patient and as its doctor."""

from collections.abc import Sequence

from chalicelib import clock, errors
from chalicelib.adapters.redis import ScriptBatch
from chalicelib.consult import session_cache, sessions
from chalicelib.consult.models import (
    DoctorFileRequest,
    DoctorMessagesQuery,
    DoctorNewestQuery,
    DoctorTextRequest,
    FileDescription,
    MemberAndDoctor,
    MessageForDoctor,
    MessageForPatient,
    PatientFileRequest,
    PatientMessagesQuery,
    PatientNewestQuery,
    PatientSendFileResponse,
    PatientSendResponse,
    PatientTextRequest,
    SendFileResponse,
    SendResponse,
)
from chalicelib.consult.store import SESSION_OF_PAIR, SessionRecord
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, links, withdrawals
from chalicelib.identity.callers import Caller, Role
from chalicelib.identity.tokens import Owner
from chalicelib.messaging import log, read_positions, reading, recent_cache
from chalicelib.messaging.models import ConversationKind, Message, MessageType, NewMessage
from chalicelib.wechat_account.unread_replies import ENQUEUE_UNREAD_REPLY

SENT_BY_CALLER, SENT_TO_CALLER = 0, 1  # from_to


def prepare_send(owner: Owner, request: PatientTextRequest | DoctorTextRequest) -> ScriptBatch:
    """Return the scripts with which sending a text begins."""
    if isinstance(request, DoctorTextRequest):
        return recent_cache.prepare_write_intent(request.session_no)
    return recent_cache.prepare_write_intent(_get_session_no(owner.tenant_id, request))


def send_as_patient(
    caller: Caller, request: PatientTextRequest, idempotency_key: str | None, batch: ScriptBatch | None
) -> PatientSendResponse:
    """Send a text to a doctor. Without session_no, use or create the session of the member and the doctor.

    Args:
        batch: the result of `prepare_send`.

    Raises:
        ApiError: 404 for an unknown session, member or doctor; 409 if the key was used for another message.
    """
    new_message = NewMessage(
        request.message,
        "patient/send_text_msg",
        idempotency_key or request.client_msg_id,
        condition_sql=SESSION_OF_PAIR,
        condition_params={"member_id": request.member_id, "doctor_id": request.doctor_id},
        merge_double_submission=True,
        few_recipients=True,
    )
    session_no = _get_session_no(caller.tenant_id, request)
    try:
        message = _append(caller, session_no, new_message, batch)
    except ApiError as error:
        if request.session_no or error.kind is not errors.NOT_FOUND:
            raise
        session_no = sessions.get_or_create_session_no(caller, request)
        message = _append(caller, session_no, new_message)
    return PatientSendResponse(
        msg_id=message.id, msg_date=clock.format_wire_time(message.sent_at), session_no=session_no
    )


def send_as_doctor(
    caller: Caller, request: DoctorTextRequest, idempotency_key: str | None, batch: ScriptBatch | None
) -> SendResponse:
    """Send a text to the session's patient.

    Args:
        batch: the result of `prepare_send`.

    Raises:
        ApiError: 404 if the session is not the doctor's; 409 if the key was used for another message.
    """
    new_message = NewMessage(
        request.message,
        "doctor/send_text_msg",
        idempotency_key or request.client_msg_id,
        enqueue_sql=ENQUEUE_UNREAD_REPLY,
        merge_double_submission=True,
        few_recipients=True,
    )
    message = _append(caller, request.session_no, new_message, batch)
    return SendResponse(msg_id=message.id, msg_date=clock.format_wire_time(message.sent_at))


def send_file_as_patient(
    caller: Caller, request: PatientFileRequest, idempotency_key: str | None
) -> PatientSendFileResponse:
    """Send an uploaded file to a doctor.

    Raises:
        ApiError: 404 for an unknown file, session, member or doctor; 409 if the file has not been uploaded or is of a
            kind that is not accepted, or if the key was used for another message.
    """
    session_no = _resolve_session_no(caller, request, request.session_no)
    key = idempotency_key or request.client_msg_id
    message = _send_file(caller, session_no, request.file_id, "patient/send_res_msg", key)
    return PatientSendFileResponse(
        msg_id=message.id,
        file_url=_sign_file_url(message),
        **_describe_file(message),
        msg_date=clock.format_wire_time(message.sent_at),
        session_no=session_no,
    )


def send_file_as_doctor(caller: Caller, request: DoctorFileRequest, idempotency_key: str | None) -> SendFileResponse:
    """Send an uploaded file to the session's patient. Raises as `send_file_as_patient` does."""
    key = idempotency_key or request.client_msg_id
    message = _send_file(caller, request.session_no, request.file_id, "doctor/send_res_msg", key)
    return SendFileResponse(
        msg_id=message.id,
        res_url=_sign_file_url(message),
        **_describe_file(message),
        msg_date=clock.format_wire_time(message.sent_at),
    )


def prepare_page(owner: Owner, query: DoctorMessagesQuery | DoctorNewestQuery) -> ScriptBatch:
    """Return the scripts with which reading the newest page, or the newest message, begins."""
    if isinstance(query, DoctorMessagesQuery) and query.msg_id:  # an older page, which Redis may not have
        return ScriptBatch([])
    limit = query.page_size if isinstance(query, DoctorMessagesQuery) else 1
    return _prepare_newest_page(query.session_no, owner.principal, limit)


def list_for_patient(caller: Caller, query: PatientMessagesQuery, batch: ScriptBatch | None) -> list[MessageForPatient]:
    """Return a page of one of the caller's sessions, newest first. The newest page is marked as read.

    Args:
        batch: the result of `prepare_page`; so also in the following functions.

    Raises:
        ApiError: 404 if the session is not the caller's; 400 if msg_id is not of the session.
    """
    session, messages = _fetch_page(caller, query, query.member_id, batch)
    return _format_for_patient(messages, session, caller)


def list_for_doctor(caller: Caller, query: DoctorMessagesQuery, batch: ScriptBatch | None) -> list[MessageForDoctor]:
    """Return a page of one of the doctor's sessions, newest first. Raises as `list_for_patient` does."""
    _, messages = _fetch_page(caller, query, None, batch)
    return [_format_for_doctor(message, caller) for message in messages]


def find_newest_for_patient(
    caller: Caller, query: PatientNewestQuery, batch: ScriptBatch | None
) -> MessageForPatient | None:
    """Return the newest message of one of the caller's sessions, without marking it as read.

    Raises:
        ApiError: 404 if the session is not the caller's.
    """
    session, page = _fetch_newest_page(caller, query.session_no, query.member_id, 1, batch)
    return next(iter(_format_for_patient(page.messages, session, caller)), None)


def find_newest_for_doctor(
    caller: Caller, query: DoctorNewestQuery, batch: ScriptBatch | None
) -> MessageForDoctor | None:
    """Return the newest message of one of the doctor's sessions, without marking it as read.

    Raises:
        ApiError: 404 if the session is not the doctor's.
    """
    _, page = _fetch_newest_page(caller, query.session_no, None, 1, batch)
    return _format_for_doctor(page.messages[0], caller) if page.messages else None


def _get_session_no(tenant_id: int, request: PatientTextRequest) -> str:
    return request.session_no or sessions.compute_session_no(tenant_id, request)


def _resolve_session_no(caller: Caller, pair: MemberAndDoctor, session_no: str | None) -> str:
    if not session_no:
        return sessions.get_or_create_session_no(caller, pair)
    sessions.require_session(caller, session_no, pair)
    return session_no


def _send_file(caller: Caller, session_no: str, file_id: int, endpoint: str, key: str | None) -> Message:
    file = confirmation.confirm_upload_for_place(caller.tenant_id, caller.principal, session_no, file_id)
    new_message = NewMessage(
        "",
        endpoint,
        key,
        MessageType.IMAGE,
        file.object_key,
        condition_sql=withdrawals.FILE_IS_AVAILABLE,
        condition_params={"file_id": file_id},
        enqueue_sql=ENQUEUE_UNREAD_REPLY if caller.role == Role.DOCTOR else "",
        merge_double_submission=True,
        few_recipients=True,
    )
    try:
        return _append(caller, session_no, new_message)
    except ApiError as error:
        if error.kind is not errors.NOT_FOUND:
            raise
        raise ApiError(errors.NOT_FOUND, f"会话不存在，或{withdrawals.WITHDRAWN_TEXT}") from None


def _append(caller: Caller, session_no: str, new_message: NewMessage, batch: ScriptBatch | None = None) -> Message:
    kind = ConversationKind.CONSULT
    return log.append(caller.tenant_id, kind, session_no, caller.principal, new_message, batch)


def _fetch_page(
    caller: Caller, query: DoctorMessagesQuery, member_id: int | None, batch: ScriptBatch | None
) -> tuple[SessionRecord, Sequence[Message]]:
    if query.msg_id:
        found = session_cache.find_session(query.session_no)
        session = session_cache.require_access(found, caller, member_id)
        if query.msg_id == session.creation_position:  # from a doctor's session list
            return session, []
        return session, reading.list_older(query.session_no, query.msg_id, query.page_size)
    session, page = _fetch_newest_page(caller, query.session_no, member_id, query.page_size, batch)
    read_positions.mark_read(query.session_no, page)
    return session, page.messages


def _fetch_newest_page(
    caller: Caller, session_no: str, member_id: int | None, limit: int, batch: ScriptBatch | None
) -> tuple[SessionRecord, reading.MessagePage]:
    batch = batch or _prepare_newest_page(session_no, caller.principal, limit)
    page, [cached] = reading.fetch_newest_page(session_no, caller.principal, limit, batch)
    found = session_cache.decode_or_find_session(session_no, cached)
    return session_cache.require_access(found, caller, member_id), page


def _prepare_newest_page(session_no: str, principal: str, limit: int) -> ScriptBatch:
    return reading.prepare_newest_page(session_no, principal, limit, [session_cache.build_read_call(session_no)])


def _format_for_patient(messages: Sequence[Message], session: SessionRecord, caller: Caller) -> list[MessageForPatient]:
    doctor_id = str(session.doctor_id)
    photo_url = links.sign(session.doctor_photo_key) if session.doctor_photo_key else ""
    return [
        {
            **_format_for_doctor(message, caller),
            "doctor_id": doctor_id,
            "doctor_name": session.doctor_name,
            "doctor_photo_url": photo_url,
        }
        for message in messages
    ]


def _format_for_doctor(message: Message, caller: Caller) -> MessageForDoctor:
    return {
        "msg_id": message.id,
        "msg_type": MessageType.IMAGE if message.object_key else MessageType.TEXT,
        "from_to": SENT_BY_CALLER if message.sender == caller.principal else SENT_TO_CALLER,
        "message": message.content,
        "res_url": _sign_file_url(message),
        **_describe_file(message),
        "msg_date": clock.format_wire_time(message.sent_at),
        "withdrawn": message.withdrawn,
    }


def _sign_file_url(message: Message) -> str:
    return links.sign(message.object_key) if message.object_key else ""


def _describe_file(message: Message) -> FileDescription:
    if not message.object_key:
        return {"res_type": "", "res_displayable": True}
    kind = file_types.get_kind_of_object(message.object_key)
    return {"res_type": kind.content_types[0], "res_displayable": kind.is_displayable}
