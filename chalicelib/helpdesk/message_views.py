"""Messages in the form of document 002."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.files import links
from chalicelib.helpdesk import chats, store
from chalicelib.helpdesk.chats import HOSPITAL_PRINCIPAL
from chalicelib.helpdesk.codes import UserType
from chalicelib.helpdesk.models import MessageEntry
from chalicelib.helpdesk.store import Conversation
from chalicelib.identity import session_names
from chalicelib.identity.callers import Caller
from chalicelib.messaging.models import Message, MessageType
from chalicelib.people import persons
from chalicelib.people.roles import PersonKind


class Sender(NamedTuple):
    """The sender of a message as readers see them."""

    user_type: UserType
    name: str


UNKNOWN_SENDER = Sender(UserType.USER, "")  # a user of the hospital's own system
HOSPITAL_SENDER = Sender(UserType.SYSTEM, "医院")
USER_TYPE_BY_KIND = {PersonKind.STAFF: UserType.STAFF, PersonKind.PATIENT: UserType.USER}


def build_entries(caller: Caller, conversation: Conversation, messages: Sequence[Message]) -> list[MessageEntry]:
    """Return messages of one conversation, in their order, with senders' names and the caller's ratings."""
    if not messages:
        return []
    senders = get_senders(caller.tenant_id, {message.sender for message in messages})
    seqs = [message.seq for message in messages]
    ratings = store.get_ratings(mysql.autocommit, conversation.conversation_id, caller.user_id, seqs)
    return [
        _build_entry(caller, conversation, message, senders[message.sender], ratings.get(message.seq, 0))
        for message in messages
    ]


def get_senders(tenant_id: int, principals: Iterable[str]) -> dict[str, Sender]:
    """Return the senders with these principals."""
    user_ids = {
        principal: user_id
        for principal in principals
        if (user_id := chats.parse_user_id(principal.removeprefix("user:")))
    }
    people = persons.get_people(mysql.autocommit, tenant_id, set(user_ids.values())) if user_ids else {}
    known = {
        principal: Sender(USER_TYPE_BY_KIND[person.kind], person.name)
        for principal, user_id in user_ids.items()
        if (person := people.get(user_id))
    }
    return {**dict.fromkeys(principals, UNKNOWN_SENDER), HOSPITAL_PRINCIPAL: HOSPITAL_SENDER, **known}


def parse_extra(text: str) -> dict[str, Any]:
    """Return the fields that messageAdd stores beside a message's text; {} for messages of other protocols."""
    return dict(json.loads(text)) if text else {}


def _build_entry(
    caller: Caller, conversation: Conversation, message: Message, sender: Sender, rating: int
) -> MessageEntry:
    extra = parse_extra(message.extra)
    return {
        "messageId": message.id,
        "sessionId": conversation.public_id,
        "sendId": session_names.format_principal(message.sender),
        "sendName": sender.name,
        "sendType": UserType.SYSTEM if "note" in extra else sender.user_type,
        "isSelf": message.sender == caller.principal,
        "title": extra.get("title", ""),
        "content": extra.get("caption", message.content),
        "link": links.sign(message.object_key) if message.object_key else extra.get("link", ""),
        "item": extra.get("item", 0),
        "type": extra.get("type", 0),
        "itemType": MessageType.IMAGE if message.object_key else message.type,
        "createTime": clock.format_wire_time(message.sent_at),
        "isWithdrawn": message.withdrawn,
        "appraise": rating,
    }
