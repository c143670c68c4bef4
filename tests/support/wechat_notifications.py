"""Helpers for tests of template messages."""

import json
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import site_messages, wechat_messages
from chalicelib.identity import tokens
from chalicelib.wechat_account import openids
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.wechat_client import APP_ID, WECHAT_PATH

LIN_OPENID, WANG_OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uMEb4qRXf22hE3X68TekukE"
SEND_PATH = "/cgi-bin/message/template/send"


def save_template_id(hospital: Hospital, kind: int, template_id: str) -> None:
    path = f"{WECHAT_PATH}/template_id"
    assert post(path, hospital.admin.token, wech_temp_type=kind, wech_temp_id=template_id).status == 200


def bind_openid(person: Person, openid: str) -> None:
    token = tokens.hash_token(person.token)
    mysql.run_transaction(lambda tx: openids.bind(tx, person.tenant_id, person.user_id, token, APP_ID, openid))


def list_jobs(department: BookingDepartment, job: str) -> list[dict[str, Any]]:
    return [json.loads(row["payload"]) for row in list_rows("outbox", department.hospital) if row["job"] == job]


def run_notification_jobs(department: BookingDepartment) -> list[dict[str, Any]]:
    """Run the jobs of the internal queue; return the payloads of the WeChat jobs that they enqueue."""
    for payload in list_jobs(department, "notify_booking"):
        site_messages.notify_holder(department.hospital.tenant_id, payload)
    return list_jobs(department, "wechat_booking")


def run_wechat_jobs(department: BookingDepartment) -> None:
    for payload in run_notification_jobs(department):
        wechat_messages.send_booking_message(department.hospital.tenant_id, payload)


def get_field_values(message: dict[str, Any]) -> dict[str, str]:
    return {name: one["value"] for name, one in message["data"].items()}
