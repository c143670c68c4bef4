"""Requests for site messages, as users' clients and a hospital's own system send them."""

from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person

MESSAGE_PATH = "/msg_service/msg"


def send(sender: Person, text: Any, *recipients: Person, key: str = "", **fields: Any) -> ApiResponse:
    """Send a text. A field that is None is left out of the body."""
    return post(
        f"{MESSAGE_PATH}/send",
        sender.token,
        build_key_header(key),
        **build_body(sender.tenant_id, text, recipients, fields),
    )


def send_as_system(hospital: Hospital, text: str, *recipients: Person, key: str = "", **fields: Any) -> ApiResponse:
    headers = {"X-Internal-Key": hospital.internal_key, **build_key_header(key)}
    return post(f"{MESSAGE_PATH}/send", headers=headers, **build_body(hospital.tenant_id, text, recipients, fields))


def list_messages(person: Person, **query: Any) -> list[Row]:
    return list(get(f"{MESSAGE_PATH}/list", person.token, **query).data)


def list_texts(person: Person, **query: Any) -> list[str]:
    return [one["msg_text"] for one in list_messages(person, **query)]


def get_unread_count(person: Person) -> int:
    return int(get(f"{MESSAGE_PATH}/unread_count", person.token).data["count"])


def set_read(person: Person, msg_id: Any) -> ApiResponse:
    return post(f"{MESSAGE_PATH}/set_read", person.token, msg_id=msg_id)


def set_all_read(person: Person, user_id: Any = None) -> ApiResponse:
    return post(f"{MESSAGE_PATH}/all_set_read", person.token, userId=person.user_id if user_id is None else user_id)


def disable_user(hospital: Hospital, who: Person, path: str = "staff_disable") -> None:
    assert post(f"/pati_service/manager_service/{path}", hospital.admin.token, user_id=who.user_id).status == 200


def build_key_header(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def build_body(tenant_id: int, text: Any, recipients: tuple[Person, ...], fields: dict[str, Any]) -> dict[str, Any]:
    user_list = [{"user_id": one.user_id} for one in recipients]
    body = {"tenantId": tenant_id, "msg_text": text, "user_list": user_list, **fields}
    return {name: value for name, value in body.items() if value is not None}


def list_rows(table: str, tenant_id: int) -> list[Row]:
    return mysql.autocommit.fetch_all(f"SELECT * FROM {table} WHERE tenant_id = %(id)s", id=tenant_id)
