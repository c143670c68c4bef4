"""What the endpoints of site messages want of bin/fuzz, where a name means something else than elsewhere."""

import json
from typing import Any, Protocol

import requests

from chalicelib.identity.callers import Role
from tests.support.factories import Hospital

MESSAGE_PATH = "/msg_service/msg"


class FuzzClient(Protocol):
    url: str
    session: requests.Session

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> requests.Response: ...

    def get_headers(self, kind: str) -> dict[str, str]: ...


def send_messages(door: FuzzClient, hospital: Hospital) -> dict[str, dict[str, Any]]:
    """Send everybody of a hospital one, and return fields by the path that wants them."""
    everybody = (hospital.lin, hospital.chen, hospital.desk, hospital.admin)
    sending = {
        "tenantId": str(hospital.tenant_id),
        "user_list": [{"user_id": str(person.user_id)} for person in everybody],
    }
    body = json.dumps({**sending, "msg_text": "明日停水"}).encode()
    door.post(f"{MESSAGE_PATH}/send", body, door.get_headers(Role.SERVICE_STAFF)).raise_for_status()
    listed = door.session.get(f"{door.url}{MESSAGE_PATH}/list", headers=door.get_headers(Role.PATIENT)).json()["data"]
    msg_id = {"msg_id": listed[0]["msg_id"]}
    return {
        f"{MESSAGE_PATH}/send": sending,
        f"{MESSAGE_PATH}/list": msg_id,
        f"{MESSAGE_PATH}/set_read": msg_id,
        f"{MESSAGE_PATH}/all_set_read": {"userId": str(hospital.lin.user_id)},
    }
