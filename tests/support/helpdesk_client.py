"""Requests of the messagecenter, and the posts of a help desk."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from tests.support import factories
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital, Person

PATHS = [
    *("messageCount", "messageAdd", "findMessage", "userList", "createChatSession", "closeChatSession", "obtainShunt"),
    *("updateReadById", "withdrawMessage", "appraiseMessage", "conversationList", "oneUserPosition"),
    "oneUserConversation",
]


def call_messagecenter(who: Person, what: str, headers: dict[str, str] | None = None, **body: Any) -> ApiResponse:
    return post(f"/message/{what}", who.token, headers, **body)


def build_key_header(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def add_message(who: Person, content: str, key: str = "", **more: Any) -> ApiResponse:
    defaults = {"ownType": 1, "title": "", "item": 0, "type": 0, "link": "", "itemType": 0, "content": content}
    return call_messagecenter(who, "messageAdd", build_key_header(key) if key else None, **{**defaults, **more})


def send_all(sender: Person, recipient: Person, *contents: str) -> list[str]:
    """Send texts to a person; return the messages' ids."""
    return [str(add_message(sender, one, receiveId=recipient.user_id).data[0]["messageId"]) for one in contents]


def find_messages(who: Person, msg_type: int, **more: Any) -> ApiResponse:
    return call_messagecenter(who, "findMessage", **{"msgType": msg_type, "userType": 2, "pageSize": 10, **more})


def list_contents(response: ApiResponse) -> list[str]:
    return [one["content"] for one in response.data]


def get_message_count(who: Person) -> int:
    response = call_messagecenter(who, "messageCount", userType=2)
    assert response.data == response.body["count"]
    return int(response.data)


def request_assignment(who: Person, kind: str = "") -> ApiResponse:
    return call_messagecenter(who, "obtainShunt", type=kind)


def create_session(who: Person, msg_type: int, **more: Any) -> ApiResponse:
    return call_messagecenter(who, "createChatSession", **{"msgType": msg_type, "userType": 2, **more})


def close_session(who: Person, session_id: str) -> ApiResponse:
    return call_messagecenter(who, "closeChatSession", sessionId=session_id)


def list_conversations(who: Person, what: str = "conversationList", **more: Any) -> ApiResponse:
    return call_messagecenter(who, what, **{"userType": 1, **more})


@dataclass(frozen=True)
class HelpDesk:
    """The help desk of a hospital, administered by its admin."""

    hospital: Hospital

    def create_post(self, holder: Person, cap: int = 2, on_duty: bool = True, **more: Any) -> str:
        """Give a member of staff a post; return its positionId."""
        body = {"userId": holder.user_id, "title": "导诊", "cap": cap, **more}
        position = str(call_messagecenter(self.hospital.admin, "savePost", **body).data["positionId"])
        if on_duty:
            self.set_duty(position)
        return position

    def set_duty(self, position: str, on: bool = True) -> ApiResponse:
        return call_messagecenter(self.hospital.admin, "setDuty", positionId=position, onDuty=on)

    def list_open_counts(self) -> dict[str, int]:
        """Return how many open sessions each agent has, by name."""
        return {one["name"]: one["open"] for one in call_messagecenter(self.hospital.admin, "postList").data}

    def call_with_key(self, what: str, headers: dict[str, Any], **body: Any) -> ApiResponse:
        """Send a request as the hospital's own system."""
        named = {name: str(value) for name, value in headers.items()}
        return post(f"/message/{what}", headers={"X-Internal-Key": self.hospital.internal_key, **named}, **body)


def get_agent_or_place(response: ApiResponse) -> str:
    """Return the agent's name, or the position in the queue as text."""
    session = response.data
    assert (session["state"] == "waiting") == (session["place"] > 0) == (session["agent"] is None)
    return str(session["agent"]["name"] if session["agent"] else session["place"])


def list_rows(table: str, hospital: Hospital) -> list[Row]:
    return mysql.autocommit.fetch_all(
        f"SELECT * FROM {table} WHERE tenant_id = %(id)s ORDER BY 1", id=hospital.tenant_id
    )


def list_session_events(hospital: Hospital) -> list[tuple[int, str]]:
    """Return user id and session_id of each event about an assignment in the outbox."""
    found = [json.loads(row["payload"]) for row in list_rows("outbox", hospital) if row["job"] == "publish_event"]
    assigned = [one for one in found if one["type"] == 1400]
    return [(int(who[5:]), one["content"]["sessionId"]) for one in assigned for who in one["principals"]]


def parametrize_invalid(wrong: dict[str, list[Any]]) -> pytest.MarkDecorator:
    """Run a test with each of the wrong values of each field."""
    return pytest.mark.parametrize(("field", "wrong"), [(field, one) for field in wrong for one in wrong[field]])


def create_patients(hospital: Hospital, number: int) -> list[Person]:
    return [factories.create_patient(hospital.tenant_id, f"137{n:08}", f"患者{n}") for n in range(number)]
