"""Lists of the caller's conversations and of the persons in them."""

from dataclasses import astuple

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.files import links
from chalicelib.helpdesk import list_store, list_totals
from chalicelib.helpdesk.codes import ConversationType, MsgType, UserType
from chalicelib.helpdesk.list_models import ListEntry, ListRequest
from chalicelib.helpdesk.list_store import ListedConversation, ListFilters, ListKey, Position
from chalicelib.helpdesk.message_views import parse_extra
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.http.routing import CountedResult
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging.models import ConversationKind, MessageType
from chalicelib.people import account_phones, formatting, phones
from chalicelib.people.roles import PersonKind

MSG_TYPE_BY_KIND = {
    ConversationKind.ANNOUNCEMENT: MsgType.ANNOUNCEMENT,
    ConversationKind.DIRECT: MsgType.DIRECT,
    ConversationKind.CONSULT: MsgType.DIRECT,
    ConversationKind.DESK: MsgType.DESK,
    ConversationKind.CLIENT: MsgType.GROUP,
    ConversationKind.SERVICE: MsgType.GROUP,
}
USER_TYPE_BY_KIND = {PersonKind.STAFF: UserType.STAFF, PersonKind.PATIENT: UserType.USER}


def list_conversations(caller: Caller, request: ListRequest) -> CountedResult[list[ListEntry]]:
    """Return a page of the caller's conversations, last active first."""
    return _list_page(caller, request, ListKey.CONVERSATION)


def list_people(caller: Caller, request: ListRequest) -> CountedResult[list[ListEntry]]:
    """Return a page of the persons with whom the caller has conversations, last active first.

    The number of unread messages is that of all conversations with the person.
    """
    return _list_page(caller, request, ListKey.PERSON)


def _list_page(caller: Caller, request: ListRequest, key: ListKey) -> CountedResult[list[ListEntry]]:
    filters = ListFilters(
        since=request.since,
        until=request.until,
        phone_blind=phones.compute_blind_index(caller.tenant_id, request.phone) if request.phone else b"",
        name=request.nameSearch,
        excluded_id=request.filtrationId,
        query_type=request.queryType,
        served_only=bool(request.isArtificial),
        visitors_only=bool(request.isTourist),
    )
    before = Position(*map(int, request.before.split("."))) if request.before else None
    own = (caller.tenant_id, caller.principal)
    found, counted = list_store.fetch_page(mysql.autocommit, *own, key, filters, before, request.limit, request.offset)
    total = list_totals.get_total(
        *own, (key.name, *astuple(filters)), counted, lambda: list_store.count(mysql.autocommit, *own, key, filters)
    )
    return CountedResult(data=[_build_entry(caller, listed) for listed in found], count=total)


def _build_entry(caller: Caller, listed: ListedConversation) -> ListEntry:
    msg_type = MSG_TYPE_BY_KIND[listed.kind]
    extra = {} if listed.withdrawn else parse_extra(listed.extra)
    return {
        "sessionId": listed.public_id,
        "chatGroupId": str(listed.position.conversation_id) if msg_type == MsgType.GROUP else "",
        "msgType": msg_type,
        "conversationType": _get_conversation_type(caller, listed, msg_type),
        "state": ChatState.CLOSED if listed.archived else listed.chat_state or ChatState.OPEN,
        "userId": str(listed.peer_id or ""),
        "userType": USER_TYPE_BY_KIND[listed.peer_kind] if listed.peer_kind else None,
        "name": listed.name,
        "phone": _mask_phone(caller, listed),
        "photo": links.sign(listed.photo_key) if listed.photo_key else "",
        "unread": listed.unread,
        "lastMessageId": listed.message_id,
        "lastMessage": "" if listed.withdrawn else str(extra.get("caption", listed.content)),
        "lastItemType": MessageType.IMAGE if listed.has_file else listed.message_type,
        "lastTime": clock.format_wire_time(listed.active_at),
        "position": f"{listed.position.tick}.{listed.position.conversation_id}",
    }


def _mask_phone(caller: Caller, listed: ListedConversation) -> str:
    """Return the masked phone of a patient's account, "" for others."""
    if listed.peer_id is None or listed.phone_sealed is None:
        return ""
    return formatting.mask_phone(account_phones.unseal(caller.tenant_id, listed.peer_id, listed.phone_sealed))


def _get_conversation_type(caller: Caller, listed: ListedConversation, msg_type: MsgType) -> ConversationType:
    if msg_type == MsgType.GROUP:
        return ConversationType.GROUP
    with_staff = caller.role != Role.PATIENT or listed.peer_kind == PersonKind.STAFF
    return ConversationType.USER_AND_STAFF if with_staff or msg_type != MsgType.DIRECT else ConversationType.USERS
