"""Calls of the gateway, as clients and a hospital's own system make them."""

import secrets
from dataclasses import dataclass
from typing import Any

from chalicelib.identity import tokens
from chalicelib.messaging import reading
from chalicelib.people.roles import Role
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital, Person

PATHS = [
    "/send_msg",
    "/check_joined_conversation",
    "/get_joined_conversation",
    "/get_conversation_detail",
    "/join_conversation",
    "/leave_conversation",
    "/create_conversation",
    "/get_lastone_msgid",
    "/get_conversation_msg_by_range",
    "/get_conversation_30msg_before_the_id",
    "/get_conversation_30msg_after_the_id",
    "/get_conversation_last_30_msg",
    "/get_conversation_lastone_msg",
]
INTERNAL_PATHS = ["create_conversation", "join_conversation", "kickout_conversation", "set_archive_conversations"]


@dataclass(frozen=True)
class ExternalUser:
    """A user of the hospital's own system, known only by a session id."""

    tenant_id: int
    session: str
    token: str

    @property
    def principal(self) -> str:
        return f"session:{self.session}"


AnyUser = Person | ExternalUser


def create_external_user(hospital: Hospital, session: str) -> ExternalUser:
    token = tokens.issue(hospital.tenant_id, f"session:{session}", Role.SESSION)
    return ExternalUser(hospital.tenant_id, session, token)


def call_internal(hospital: Hospital, endpoint: str, key: str = "", **body: Any) -> ApiResponse:
    headers = {"X-Internal-Key": hospital.internal_key} | ({"Idempotency-Key": key} if key else {})
    return post(f"/inner/{endpoint}", headers=headers, **body)


def create_conversation(user: AnyUser, key: str | None = None, **body: Any) -> str:
    """Create a conversation as a participant and return its id; key: None for a new one, "" for none."""
    key = secrets.token_hex(8) if key is None else key
    headers = {"Idempotency-Key": key} if key else {}
    return str(post("/create_conversation", user.token, headers, **body).data["ConversationId"])


def create_conversation_of(hospital: Hospital, *people: AnyUser, key: str | None = None, **more: Any) -> str:
    """Create a conversation of these users as the hospital's own system; key as for `create_conversation`."""
    sessions = [person.principal.removeprefix("session:") for person in people]
    key = secrets.token_hex(8) if key is None else key
    response = call_internal(hospital, "create_conversation", key, sessions=sessions, **more)
    return str(response.data["ConversationId"])


def join(user: AnyUser, conversation: str) -> ApiResponse:
    return post("/join_conversation", user.token, conversation_id=conversation)


def leave(user: AnyUser, conversation: str) -> ApiResponse:
    return post("/leave_conversation", user.token, conversation_id=conversation)


def remove_participants(hospital: Hospital, conversation: str, *people: AnyUser) -> ApiResponse:
    sessions = [person.principal.removeprefix("session:") for person in people]
    return call_internal(hospital, "kickout_conversation", conversation_id=conversation, sessions=sessions)


def add_participants(hospital: Hospital, conversation: str, *people: AnyUser) -> ApiResponse:
    sessions = [person.principal.removeprefix("session:") for person in people]
    return call_internal(hospital, "join_conversation", conversation_id=conversation, sessions=sessions)


def archive(hospital: Hospital, *conversations: str, is_archive: bool = True) -> ApiResponse:
    return call_internal(hospital, "set_archive_conversations", conversation_ids=conversations, is_archive=is_archive)


def send(user: AnyUser, conversation: str, content: str, key: str = "", **more: Any) -> ApiResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return post("/send_msg", user.token, headers, conversation_id=conversation, content=content, **more)


def send_all(user: AnyUser, conversation: str, *contents: str) -> list[str]:
    """Send messages and return their ids."""
    return [str(send(user, conversation, content).data["MsgID"]) for content in contents]


def call_on_conversation(user: AnyUser, endpoint: str, conversation: str, **more: Any) -> ApiResponse:
    return post(f"/{endpoint}", user.token, conversation_id=conversation, **more)


def get_last_30(user: AnyUser, conversation: str, **more: Any) -> ApiResponse:
    return call_on_conversation(user, "get_conversation_last_30_msg", conversation, **more)


def list_contents(response: ApiResponse) -> list[str]:
    return [message["Content"] for message in response.data["Msg"]]


def is_joined(user: AnyUser, conversation: str) -> bool:
    return bool(call_on_conversation(user, "check_joined_conversation", conversation).data["Joined"])


def count_unread(user: AnyUser, conversation: str) -> int:
    page = reading.fetch_newest_pages([conversation], user.principal)[conversation]
    assert page.participant
    return page.participant.count_unread(page.last_seq)
