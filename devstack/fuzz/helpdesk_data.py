"""What the messagecenter's endpoints want of bin/fuzz: people who have talked, and a post."""

import json
from typing import Any, Protocol

import requests

from chalicelib.identity.callers import Role
from tests.support.factories import Hospital

PATH = "/message"
TEXT = {"ownType": 1, "title": "", "content": "您好", "item": 0, "type": 0, "link": "", "itemType": 0}


class FuzzClient(Protocol):
    def post(self, path: str, body: bytes, headers: dict[str, str]) -> requests.Response: ...

    def get_headers(self, kind: str) -> dict[str, str]: ...


def create_chats(door: FuzzClient, hospital: Hospital) -> dict[str, dict[str, Any]]:
    """Have Doctor Chen write to Lin and hold a post, and return fields by the path that wants them."""
    lin, chen = str(hospital.lin.user_id), str(hospital.chen.user_id)
    sent, other = (_post(door, Role.DOCTOR, "messageAdd", **TEXT, receiveId=lin)[0] for _ in range(2))
    post = _post(door, Role.ADMIN, "savePost", userId=chen, title="导诊")["positionId"]
    return {
        f"{PATH}/messageAdd": {"receiveId": chen},
        f"{PATH}/findMessage": {"sendId": chen},
        f"{PATH}/createChatSession": {"receiveId": chen},
        f"{PATH}/closeChatSession": {"sessionId": sent["sessionId"]},
        f"{PATH}/updateReadById": {"sendId": chen},
        f"{PATH}/withdrawMessage": {"messageId": sent["messageId"]},
        f"{PATH}/appraiseMessage": {"messageId": other["messageId"]},
        f"{PATH}/oneUserPosition": {"positionId": post},
        f"{PATH}/oneUserConversation": {"youPositionId": post},
        f"{PATH}/savePost": {"positionId": post, "userId": chen},
        f"{PATH}/setDuty": {"positionId": post},
    }


def _post(door: FuzzClient, kind: str, path: str, **body: Any) -> Any:
    return door.post(f"{PATH}/{path}", json.dumps(body).encode(), door.get_headers(kind)).json()["data"]
