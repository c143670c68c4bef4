"""A job of the outbox's outside lane: a doctor has answered while the patient was away, at the patient's WeChat."""

from datetime import date
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.consult import store
from chalicelib.wechat_account import template_messages
from chalicelib.wechat_account.account import CHAT_PATH
from chalicelib.wechat_account.templates import TemplateKind


def notify_unread_reply(tenant_id: int, payload: dict[str, Any]) -> None:
    """payload: as messaging/message_jobs.py writes it. Who has read meanwhile, or written, is told nothing.

    Raises what messages.send does: then again.
    """
    left = store.find_unread_reply(mysql.autocommit, tenant_id, payload)
    if left is None:
        return
    sent = clock.format_wire_time(left["sent_at"])
    values = {
        "patient": left["member_name"],
        "doctor": left["doctor_name"],
        "dept": left["dept_name"],
        "time": f"{clock.format_chinese_date(date.fromisoformat(sent[:10]))} {sent[11:16]}",
        "what": "医生回复",
    }
    dedup_key = "unread:{session_no}:{read_seq}:{own_after_read}".format(**payload)
    template_messages.send(tenant_id, left["user_id"], TemplateKind.DOCTOR_REPLY, values, CHAT_PATH, dedup_key)
