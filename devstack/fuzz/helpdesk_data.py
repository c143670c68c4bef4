"""Help-desk data for bin/fuzz: chats with messages, and a post."""

import json
from typing import Any

from chalicelib.identity.callers import Role
from devstack.fuzz.client import Client
from tests.support.factories import Hospital

PATH = "/message"
TEXT = {"ownType": 1, "title": "", "content": "您好", "item": 0, "type": 0, "link": "", "itemType": 0}


def create_chats(client: Client, hospital: Hospital) -> dict[str, dict[str, Any]]:
    """Send messages from a doctor to a patient, create a post, and return field values by the path that takes them."""
    lin, chen = str(hospital.lin.user_id), str(hospital.chen.user_id)
    sent, other = (
        _post(client, Role.DOCTOR, "messageAdd", **{**TEXT, "content": text}, receiveId=lin)[0]
        for text in ("您好", "请讲")
    )
    post = _post(client, Role.ADMIN, "savePost", userId=chen, title="导诊")["positionId"]
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


def _post(client: Client, role: str, path: str, **body: Any) -> Any:
    return client.post(f"{PATH}/{path}", json.dumps(body).encode(), client.get_headers(role)).json()["data"]
