"""What the pages of a help desk ask, in the words of the tests."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from tests import people
from tests.people import Hospital, Person
from tests.wire import Answer, post

PATHS = [
    *("messageCount", "messageAdd", "findMessage", "userList", "createChatSession", "closeChatSession", "obtainShunt"),
    *("updateReadById", "withdrawMessage", "appraiseMessage", "conversationList", "oneUserPosition"),
    "oneUserConversation",
]


def ask(who: Person, what: str, headers: dict[str, str] | None = None, **body: Any) -> Answer:
    return post(f"/message/{what}", who.token, headers, **body)


def key(named: str) -> dict[str, str]:
    return {"Idempotency-Key": named}


def add(who: Person, content: str, named: str = "", **more: Any) -> Answer:
    plain = {"ownType": 1, "title": "", "item": 0, "type": 0, "link": "", "itemType": 0, "content": content}
    return ask(who, "messageAdd", key(named) if named else None, **{**plain, **more})


def told(who: Person, whom: Person, *contents: str) -> list[str]:
    """Say these things to somebody; return the messages' ids."""
    return [str(add(who, one, receiveId=whom.user_id).data[0]["messageId"]) for one in contents]


def find(who: Person, msg_type: int, **more: Any) -> Answer:
    return ask(who, "findMessage", **{"msgType": msg_type, "userType": 2, "pageSize": 10, **more})


def contents(answer: Answer) -> list[str]:
    return [one["content"] for one in answer.data]


def count(who: Person) -> int:
    answer = ask(who, "messageCount", userType=2)
    assert answer.data == answer.body["count"]
    return int(answer.data)


def shunt(who: Person, kind: str = "") -> Answer:
    return ask(who, "obtainShunt", type=kind)


def create(who: Person, msg_type: int, **more: Any) -> Answer:
    return ask(who, "createChatSession", **{"msgType": msg_type, "userType": 2, **more})


def close(who: Person, session_id: str) -> Answer:
    return ask(who, "closeChatSession", sessionId=session_id)


def listed(who: Person, what: str = "conversationList", **more: Any) -> Answer:
    return ask(who, what, **{"userType": 1, **more})


@dataclass(frozen=True)
class Desk:
    hospital: Hospital

    def post(self, holder: Person, cap: int = 2, on_duty: bool = True, **more: Any) -> str:
        """Give a member of staff a post at the desk; returns positionId."""
        body = {"userId": holder.user_id, "title": "导诊", "cap": cap, **more}
        position = str(ask(self.hospital.admin, "savePost", **body).data["positionId"])
        if on_duty:
            self.duty(position)
        return position

    def duty(self, position: str, on: bool = True) -> Answer:
        return ask(self.hospital.admin, "setDuty", positionId=position, onDuty=on)

    def open(self) -> dict[str, int]:
        """Return how many each is serving, by name."""
        return {one["name"]: one["open"] for one in ask(self.hospital.admin, "postList").data}

    def by_key(self, what: str, headers: dict[str, Any], **body: Any) -> Answer:
        """As the hospital's own system."""
        named = {name: str(value) for name, value in headers.items()}
        return post(f"/message/{what}", headers={"X-Internal-Key": self.hospital.internal_key, **named}, **body)


def served_by(answer: Answer) -> str:
    """Return the agent's name, or the place in the queue."""
    session = answer.data
    assert (session["state"] == "waiting") == (session["place"] > 0) == (session["agent"] is None)
    return str(session["agent"]["name"] if session["agent"] else session["place"])


def rows(table: str, hospital: Hospital) -> list[Row]:
    return mysql.run_autocommit(
        lambda tx: tx.fetch_all(f"SELECT * FROM {table} WHERE tenant_id = %(id)s ORDER BY 1", id=hospital.tenant_id)
    )


def events(hospital: Hospital) -> list[tuple[int, str]]:
    """Return to whom was promised that a session at the desk has begun."""
    found = [json.loads(row["payload"]) for row in rows("outbox", hospital) if row["job"] == "push"]
    served = [one for one in found if one["type"] == 1400]
    return [(int(who[5:]), one["content"]["sessionId"]) for one in served for who in one["principals"]]


def each_wrong(wrong: dict[str, list[Any]]) -> pytest.MarkDecorator:
    """Have a test run with each of the wrong values of each field."""
    return pytest.mark.parametrize(("field", "wrong"), [(field, one) for field in wrong for one in wrong[field]])


def patients(hospital: Hospital, number: int) -> list[Person]:
    return [people.patient(hospital.tenant_id, f"137{n:08}", f"患者{n}") for n in range(number)]
