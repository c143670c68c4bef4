"""Remind a patient through WeChat of a doctor's reply that they have not read."""

from datetime import date
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.consult import store
from chalicelib.wechat_account import template_messages
from chalicelib.wechat_account.account import CHAT_PATH
from chalicelib.wechat_account.templates import TemplateKind


def notify_unread_reply(tenant_id: int, payload: dict[str, Any]) -> None:
    """Send a template message unless the patient has read or written since. Handler of Job.WECHAT_UNREAD_REPLY.

    Args:
        payload: session_no, reader, sender, read_seq and own_after_read, as the statement in
            wechat_account/unread_replies.py enqueues them.

    Raises:
        WechatApiError: WeChat rejected the message for a reason that may pass, so the job is retried.
        ApiError: 503 if WeChat cannot be reached; the job is retried.
    """
    reply = store.find_unread_reply(mysql.autocommit, tenant_id, **payload)
    if reply is None:
        return
    sent = clock.format_wire_time(reply.sent_at)
    values = {
        "patient": reply.member_name,
        "doctor": reply.doctor_name,
        "dept": reply.dept_name,
        "time": f"{clock.format_chinese_date(date.fromisoformat(sent[:10]))} {sent[11:16]}",
        "what": "医生回复",
    }
    dedup_key = "unread:{session_no}:{read_seq}:{own_after_read}".format(**payload)
    template_messages.send(tenant_id, reply.user_id, TemplateKind.DOCTOR_REPLY, values, CHAT_PATH, dedup_key)
