"""What an export of an account's own data contains.

Lists are generators: they read the database while the export is written. Of conversations, it contains the account's
own messages and those of staff and the hospital, and nothing of other patients.
"""

import json
from collections.abc import Iterator
from typing import Any

from chalicelib import clock
from chalicelib.accounts import consent_store, export_store
from chalicelib.accounts.export_store import PAGE_SIZE, Conversation
from chalicelib.adapters import mysql
from chalicelib.billing import money
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.messaging import reading_store
from chalicelib.messaging.models import Message
from chalicelib.messaging.reading_store import RangeBounds
from chalicelib.people import account_phones, accounts, guardians, members, patient_documents, tenants
from chalicelib.people.documents import TYPE_NAMES
from chalicelib.people.guardians import Guardian
from chalicelib.people.members import Member

Json = dict[str, Any]
SHOWN_DETAILS = ("title", "link", "caption")  # of messages.extra

OWN_SENDER, HOSPITAL_SENDER = "本人", "医院"
HOSPITAL_PRINCIPAL = "user:0"  # the sender of announcements; no person has the id 0
BOOKING_STATUS_TEXTS = {
    BookingStatus.BOOKED: "已预约",
    BookingStatus.CANCELLED: "已取消",
    BookingStatus.REGISTERED: "已取号",
    BookingStatus.MISSED: "爽约",
}


def build(tenant_id: int, user_id: int) -> Json:
    """Return the content of an export, for json_stream.write. Its times are those of Asia/Shanghai."""
    return {
        "hospital": tenants.get_name(mysql.autocommit, tenant_id),
        "exported_at": clock.format_wire_time(clock.now()),
        "profile": _build_profile(tenant_id, user_id),
        "members": iter(_list_members(tenant_id, user_id)),
        "bookings": (_build_booking(row) for row in export_store.iter_bookings(tenant_id, user_id)),
        "payments": (
            {**row, "fee": money.to_yuan(row["fee"]), "paid_at": clock.format_wire_time(row["paid_at"])}
            for row in export_store.iter_payments(tenant_id, user_id)
        ),
        "refunds": (_build_refund(row) for row in export_store.iter_refunds(tenant_id, user_id)),
        "conversations": _iter_conversations(tenant_id, user_id),
        "site_messages": (
            {"sent_at": _format(row["sent_at"]), "read_at": _format(row["read_at"]), "text": row["text"]}
            for row in export_store.iter_site_messages(tenant_id, user_id)
        ),
        "consents": iter(_list_consents(tenant_id, user_id)),
        "sessions": iter(_list_sessions(tenant_id, user_id)),
    }


def _build_profile(tenant_id: int, user_id: int) -> Json:
    account = accounts.get(mysql.autocommit, tenant_id, user_id)
    return {
        "user_id": user_id,
        "phone": account_phones.unseal(tenant_id, user_id, account.phone_sealed),
        "name": account.name,
        "gender": account.gender,
        "birthday": account.birthday.isoformat() if account.birthday else "",
    }


def _list_members(tenant_id: int, user_id: int) -> list[Json]:
    found = members.list_with_patients(mysql.autocommit, tenant_id, user_id)
    return [_build_member(tenant_id, user_id, one) for one in found]


def _build_member(tenant_id: int, user_id: int, member: Member) -> Json:
    """Return a member, with the primary document of their file and with what this account has entered.

    A verified file may have documents and a guardian that another account or the front desk has entered.
    """
    pati_id = member.pati_id or 0
    documents = patient_documents.list_of_patient(mysql.autocommit, tenant_id, pati_id)
    guardian = guardians.find(mysql.autocommit, tenant_id, pati_id, entered_by=user_id)
    return {
        "member_id": member.member_id,
        "patient_id": member.pati_id,
        "name": member.name,
        "gender": member.gender,
        "birthday": member.birthday.isoformat() if member.birthday else "",
        "phone": members.decrypt_phone(member),
        "is_default": member.is_default,
        "is_verified": member.is_verified,
        "documents": [
            {"type": TYPE_NAMES[one.id_type], "number": patient_documents.decrypt_number(one), "country": one.country}
            for one in documents
            if one.is_primary or one.created_by == user_id
        ],
        "guardian": _build_guardian(guardian) if guardian else None,
    }


def _build_guardian(guardian: Guardian) -> Json:
    return {
        "name": guardian.name,
        "phone": guardian.phone,
        "document": {"type": TYPE_NAMES[guardian.id_type], "number": guardian.number},
    }


def _build_booking(row: Json) -> Json:
    minutes = int(row["slot_time"].total_seconds()) // 60
    return {
        "book_id": row["book_id"],
        "member": row["member_name"],
        "department": row["dept_name"],
        "doctor": row["doctor_name"],
        "time": f"{row['day'].isoformat()} {minutes // 60:02d}:{minutes % 60:02d}",
        "serial_no": row["serial_no"],
        "code": row["book_code"],
        "fee": money.to_yuan(row["fee"]),
        "status": BOOKING_STATUS_TEXTS[BookingStatus(row["status"])],
        "paid": row["payment_state"] == PaymentState.PAID,
        "cancelled_for": row["cancelled_for"],
        "created_at": _format(row["created_at"]),
    }


def _build_refund(row: Json) -> Json:
    times = {"created_at": _format(row["created_at"]), "done_at": _format(row["done_at"])}
    return {**row, **times, "fee": money.to_yuan(row["fee"])}


def _iter_conversations(tenant_id: int, user_id: int) -> Iterator[Json]:
    names: dict[str, str] = {f"user:{user_id}": OWN_SENDER, HOSPITAL_PRINCIPAL: HOSPITAL_SENDER}
    for conversation in export_store.iter_conversations(tenant_id, user_id):
        yield {
            "kind": conversation.kind,
            "member": conversation.member_name,
            "doctor": conversation.doctor_name,
            "created_at": _format(conversation.created_at),
            "messages": _iter_messages(tenant_id, conversation, names),
        }


def _iter_messages(tenant_id: int, conversation: Conversation, names: dict[str, str]) -> Iterator[Json]:
    """Yield the messages of known senders, until the account left.

    Args:
        names: of senders, "" for those whose messages are left out. Senders that are met are added.
    """
    seq = 0
    while seq < conversation.last_seq:
        bounds = RangeBounds(conversation.conversation_id, seq + 1, conversation.last_seq)
        messages = reading_store.list_range(mysql.autocommit, bounds, PAGE_SIZE, newest_first=False)
        for message in messages:
            if conversation.left_at and message.sent_at > conversation.left_at:
                return
            name = _find_sender_name(tenant_id, message.sender, names)
            if name:
                yield _build_message(message, name)
        seq += PAGE_SIZE


def _find_sender_name(tenant_id: int, sender: str, names: dict[str, str]) -> str:
    if sender not in names:
        user_id = sender.removeprefix("user:")
        is_person = sender != user_id and user_id.isdigit()
        found = export_store.find_staff_name(mysql.autocommit, tenant_id, int(user_id)) if is_person else None
        names[sender] = found or ""
    return names[sender]


def _build_message(message: Message, sender: str) -> Json:
    return {
        "sent_at": _format(message.sent_at),
        "from": sender,
        "text": "" if message.object_key else message.content,
        "is_file": bool(message.object_key),
        "withdrawn": message.withdrawn,
        "details": _list_details(message.extra),
    }


def _list_details(extra: str) -> Json:
    """Return what document 002 shows of a message beside its text: not which member of staff wrote for the hospital."""
    stored = json.loads(extra) if extra else {}
    return {name: stored[name] for name in SHOWN_DETAILS if stored.get(name)}


def _list_consents(tenant_id: int, user_id: int) -> list[Json]:
    return [
        {
            "purpose": one.purpose,
            "version": one.version,
            "given_at": _format(one.given_at),
            "withdrawn_at": _format(one.withdrawn_at),
        }
        for one in reversed(consent_store.list_consents(mysql.autocommit, tenant_id, user_id))
    ]


def _list_sessions(tenant_id: int, user_id: int) -> list[Json]:
    return [
        {
            "device": row["device"],
            "address": row["address"].decode(),
            **{name: _format(row[name]) for name in ("created_at", "last_used_at", "expires_at", "revoked_at")},
        }
        for row in export_store.list_sessions(mysql.autocommit, tenant_id, user_id)
    ]


def _format(instant: int | None) -> str:
    return clock.format_wire_time(instant) if instant else ""
