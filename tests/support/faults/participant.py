"""A participant of a consultation, who uses the HTTP endpoints."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.support import consult_client
from tests.support.client import ApiResponse, get
from tests.support.factories import Person


@dataclass(frozen=True)
class Participant:
    """`me` is the doctor or the patient of the session."""

    session_no: str
    me: Person
    doctor: Person

    @property
    def is_doctor(self) -> bool:
        return self.me == self.doctor

    def send(self, text: str, key: str = "") -> ApiResponse:
        """Send a text, which is its own idempotency key unless one is given."""
        key = quote(key or text)
        if self.is_doctor:
            return consult_client.send_as_doctor(self.me, self.session_no, text, key)
        return consult_client.send_as_patient(self.me, self.doctor, text, key, session_no=self.session_no)

    def list_messages(self, size: int, **more: Any) -> ApiResponse:
        if self.is_doctor:
            return consult_client.list_as_doctor(self.me, self.session_no, size, **more)
        return consult_client.list_as_patient(self.me, self.session_no, size, **more)

    def get_newest(self) -> ApiResponse:
        if self.is_doctor:
            return get(consult_client.DOCTOR_NEW_MSG, self.me.token, session_no=self.session_no)
        query: dict[str, Any] = {"session_no": self.session_no, "member_id": self.me.member_id}
        return get(consult_client.PATIENT_NEW_MSG, self.me.token, **query)

    def list_sessions(self) -> ApiResponse:
        if self.is_doctor:
            return get(consult_client.DOCTOR_SESSIONS, self.me.token, page_size=100)
        return get(consult_client.PATIENT_SESSIONS, self.me.token)


def extract_messages(data: Any, side: Participant) -> list[tuple[str, str]]:
    """Return (id, text) of each message, newest first, of a page, of the newest message or of a list entry."""
    if not isinstance(data, list):
        data = [data] if data else []
    if data and "session_no" in data[0]:
        return [(one["last_msg_id"], one["last_message"]) for one in data if one["session_no"] == side.session_no]
    return [(one["msg_id"], one["message"]) for one in data]
