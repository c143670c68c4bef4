"""What a hospital tells at WeChat, and having it told, in the words of the tests."""

import json
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import site_messages, wechat_messages
from chalicelib.identity import tokens
from chalicelib.wechat_account import openids
from tests.booking.ward import Ward, rows
from tests.people import Hospital, Person
from tests.wechat.desk import APP_ID, ROOT
from tests.wire import post

LINS, WANGS = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uMEb4qRXf22hE3X68TekukE"
SEND = "/cgi-bin/message/template/send"


def choose(hospital: Hospital, kind: int, template_id: str) -> None:
    path = f"{ROOT}/template_id"
    assert post(path, hospital.admin.token, wech_temp_type=kind, wech_temp_id=template_id).status == 200


def bind(person: Person, openid: str) -> None:
    token = tokens.hash_token(person.token)
    mysql.run_transaction(lambda tx: openids.bind(tx, person.tenant_id, person.user_id, token, APP_ID, openid))


def promised(ward: Ward, job: str) -> list[dict[str, Any]]:
    return [json.loads(row["payload"]) for row in rows("outbox", ward.hospital) if row["job"] == job]


def announce(ward: Ward) -> list[dict[str, Any]]:
    """Have our own lane do its work; return what it has promised to the other."""
    for payload in promised(ward, "tell_booking"):
        site_messages.notify_holder(ward.hospital.tenant_id, payload)
    return promised(ward, "wechat_booking")


def deliver(ward: Ward) -> None:
    for payload in announce(ward):
        wechat_messages.send_booking_message(ward.hospital.tenant_id, payload)


def shown(message: dict[str, Any]) -> dict[str, str]:
    return {name: one["value"] for name, one in message["data"].items()}
