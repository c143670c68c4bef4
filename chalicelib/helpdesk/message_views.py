"""Messages as document 002 shows them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.files import links
from chalicelib.helpdesk import chats, store
from chalicelib.helpdesk.chats import HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.models import Entry, UserKind
from chalicelib.helpdesk.store import Conversation
from chalicelib.identity import session_names
from chalicelib.identity.callers import Caller
from chalicelib.messaging.models import Message, MessageType

UNKNOWN_SENDER: Row = {"kind": "patient", "name": ""}  # a user of the hospital's own system
HOSPITAL_SENDER: Row = {"kind": "hospital", "name": "医院"}
USER_TYPE_BY_KIND = {"staff": UserKind.STAFF, "patient": UserKind.USER, "hospital": UserKind.SYSTEM}


def build_entries(caller: Caller, room: Conversation, messages: Sequence[Message]) -> list[Entry]:
    """Return messages of one conversation, in their order, with their senders' names and what the caller thinks of
    each."""
    if not messages:
        return []
    people = get_senders(caller.tenant_id, {message.sender for message in messages})
    seqs = [message.seq for message in messages]
    thought = store.get_appraisals(mysql.autocommit, room.conversation_id, caller.user_id, seqs)
    return [
        _build_entry(caller, room, message, people[message.sender], thought.get(message.seq, 0)) for message in messages
    ]


def get_senders(tenant_id: int, principals: Iterable[str]) -> dict[str, Row]:
    """Return kind and name of each."""
    ids = {one: person for one in principals if (person := chats.parse_user_id(one.removeprefix("user:")))}
    found = store.get_people(mysql.autocommit, tenant_id, set(ids.values())) if ids else {}
    known = {principal: found.get(user_id, UNKNOWN_SENDER) for principal, user_id in ids.items()}
    return {**dict.fromkeys(principals, UNKNOWN_SENDER), HOSPITAL_PRINCIPAL: HOSPITAL_SENDER, **known}


def parse_extra(text: str) -> dict[str, Any]:
    """What the messagecenter put beside a message; {} for one that came by another protocol."""
    return dict(json.loads(text)) if text else {}


def _build_entry(caller: Caller, room: Conversation, message: Message, sender: Row, thought: int) -> Entry:
    extra = parse_extra(message.extra)
    return {
        "messageId": message.id,
        "sessionId": room.public_id,
        "sendId": session_names.format_principal(message.sender),
        "sendName": sender["name"] or "",
        "sendType": UserKind.SYSTEM if "note" in extra else USER_TYPE_BY_KIND[sender["kind"]],
        "isSelf": message.sender == caller.principal,
        "title": extra.get("title", ""),
        "content": extra.get("caption", message.content),
        "link": links.sign(message.object_key) if message.object_key else extra.get("link", ""),
        "item": extra.get("item", 0),
        "type": extra.get("type", 0),
        "itemType": MessageType.IMAGE if message.object_key else message.type,
        "createTime": clock.format_wire_time(message.sent_at),
        "isWithdrawn": message.withdrawn,
        "appraise": thought,
    }
