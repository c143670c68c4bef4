"""What the endpoints of site messages want of bin/fuzz, where a name means something else than elsewhere."""

import json
from typing import Any, Protocol

import requests

from chalicelib.identity import callers
from tests.people import Hospital

INBOX = "/msg_service/msg"


class Door(Protocol):
    url: str
    session: requests.Session

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> requests.Response: ...

    def people(self, kind: str) -> dict[str, str]: ...


def sent(door: Door, hospital: Hospital) -> dict[str, dict[str, Any]]:
    """Send everybody of a hospital one, and return fields by the path that wants them."""
    everybody = (hospital.lin, hospital.chen, hospital.desk, hospital.admin)
    sending = {
        "tenantId": str(hospital.tenant_id),
        "user_list": [{"user_id": str(person.user_id)} for person in everybody],
    }
    body = json.dumps({**sending, "msg_text": "明日停水"}).encode()
    door.post(f"{INBOX}/send", body, door.people(callers.SERVICE_STAFF)).raise_for_status()
    listed = door.session.get(f"{door.url}{INBOX}/list", headers=door.people(callers.PATIENT)).json()["data"]
    msg_id = {"msg_id": listed[0]["msg_id"]}
    return {
        f"{INBOX}/send": sending,
        f"{INBOX}/list": msg_id,
        f"{INBOX}/set_read": msg_id,
        f"{INBOX}/all_set_read": {"userId": str(hospital.lin.user_id)},
    }
