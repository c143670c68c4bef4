"""Messages as document 002 shows them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.files import links
from chalicelib.helpdesk import chats, store
from chalicelib.helpdesk.chats import HOSPITAL
from chalicelib.helpdesk.models import STAFF, SYSTEM, USER, Entry
from chalicelib.helpdesk.store import Room
from chalicelib.identity import session_names
from chalicelib.identity.callers import Caller
from chalicelib.messaging.models import IMAGE, Message

NOBODY: Row = {"kind": "patient", "name": ""}  # a user of the hospital's own system
HOSPITALS: Row = {"kind": "hospital", "name": "医院"}
TYPES = {"staff": STAFF, "patient": USER, "hospital": SYSTEM}


def entries(caller: Caller, room: Room, messages: Sequence[Message]) -> list[Entry]:
    """Return messages of one conversation, in their order, with their senders' names and what the caller thinks of
    each."""
    if not messages:
        return []
    people = senders(caller.tenant_id, {message.sender for message in messages})
    seqs = [message.seq for message in messages]
    thought = mysql.autocommit(lambda tx: store.appraised(tx, room.conversation_id, caller.user_id, seqs))
    return [_entry(caller, room, message, people[message.sender], thought.get(message.seq, 0)) for message in messages]


def senders(tenant_id: int, principals: Iterable[str]) -> dict[str, Row]:
    """Return kind and name of each."""
    ids = {one: person for one in principals if (person := chats.person(one.removeprefix("user:")))}
    found = mysql.autocommit(lambda tx: store.persons(tx, tenant_id, set(ids.values()))) if ids else {}
    known = {principal: found.get(user_id, NOBODY) for principal, user_id in ids.items()}
    return {**dict.fromkeys(principals, NOBODY), HOSPITAL: HOSPITALS, **known}


def extra_of(text: str) -> dict[str, Any]:
    """What the messagecenter put beside a message; {} for one that came by another protocol."""
    return dict(json.loads(text)) if text else {}


def _entry(caller: Caller, room: Room, message: Message, sender: Row, thought: int) -> Entry:
    extra = extra_of(message.extra)
    return {
        "messageId": message.id,
        "sessionId": room.public_id,
        "sendId": session_names.shown(message.sender),
        "sendName": sender["name"] or "",
        "sendType": SYSTEM if "note" in extra else TYPES[sender["kind"]],
        "isSelf": message.sender == caller.principal,
        "title": extra.get("title", ""),
        "content": extra.get("caption", message.content),
        "link": links.signed(message.object_key) if message.object_key else extra.get("link", ""),
        "item": extra.get("item", 0),
        "type": extra.get("type", 0),
        "itemType": IMAGE if message.object_key else message.type,
        "createTime": clock.wire(message.sent_at),
        "isWithdrawn": message.withdrawn,
        "appraise": thought,
    }
