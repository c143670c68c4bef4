"""Site messages for bin/fuzz, by path: their fields have the names of other fields elsewhere."""

import json
from typing import Any

from chalicelib.identity.callers import Role
from devstack.fuzz.client import Client
from tests.support.factories import Hospital

MESSAGE_PATH = "/msg_service/msg"


def send_messages(client: Client, hospital: Hospital) -> dict[str, dict[str, Any]]:
    """Send a site message to the accounts of a hospital, and return field values by the path that takes them."""
    recipients = (hospital.lin, hospital.chen, hospital.desk, hospital.admin)
    request = {
        "tenantId": str(hospital.tenant_id),
        "user_list": [{"user_id": str(person.user_id)} for person in recipients],
    }
    body = json.dumps({**request, "msg_text": "明日停水"}).encode()
    client.post(f"{MESSAGE_PATH}/send", body, client.get_headers(Role.SERVICE_STAFF)).raise_for_status()
    messages = client.session.get(f"{client.url}{MESSAGE_PATH}/list", headers=client.get_headers(Role.PATIENT)).json()[
        "data"
    ]
    msg_id = {"msg_id": messages[0]["msg_id"]}
    return {
        f"{MESSAGE_PATH}/send": request,
        f"{MESSAGE_PATH}/list": msg_id,
        f"{MESSAGE_PATH}/set_read": msg_id,
        f"{MESSAGE_PATH}/all_set_read": {"userId": str(hospital.lin.user_id)},
    }
