"""The caller's conversations, and the people in them."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.files import links
from chalicelib.helpdesk import list_store
from chalicelib.helpdesk.list_models import ListAsked, Listed
from chalicelib.helpdesk.message_views import parse_extra
from chalicelib.helpdesk.models import UserKind
from chalicelib.http.routing import CountedResult
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import ids
from chalicelib.messaging.models import MessageType
from chalicelib.people import formatting

MSG_TYPE_BY_KIND = {"notice": 1, "direct": 2, "consult": 2, "desk": 3}  # msgType; else 4
CONVERSATION_TYPE_USERS, CONVERSATION_TYPE_STAFF, CONVERSATION_TYPE_GROUP = 1, 2, 3  # conversationType


def list_conversations(caller: Caller, asked: ListAsked) -> CountedResult[list[Listed]]:
    return _list_page(caller, asked, list_store.CONVERSATIONS_SQL)


def list_people(caller: Caller, asked: ListAsked) -> CountedResult[list[Listed]]:
    """Each person once, with what is unread in all conversations of the two."""
    return _list_page(caller, asked, list_store.PERSONS_SQL)


def _list_page(caller: Caller, asked: ListAsked, wanted: str) -> CountedResult[list[Listed]]:
    filters = {
        "tenant_id": caller.tenant_id,
        "principal": caller.principal.encode(),
        "since": asked.since,
        "until": asked.until,
        "phone": asked.phone,
        "name": asked.nameSearch,
        "left_out": asked.filtrationId,
        "query": asked.queryType,
        "served": asked.isArtificial,
        "visitors": asked.isTourist,
    }
    rows, total = mysql.run_autocommit(
        lambda tx: list_store.list_page(tx, wanted, limit=asked.limit, skipped=asked.offset, **filters)
    )
    return CountedResult(data=[_build_entry(caller, row) for row in rows], count=total)


def _build_entry(caller: Caller, row: Row) -> Listed:
    kind, with_staff = (
        MSG_TYPE_BY_KIND.get(row["kind"], 4),
        "staff" in (row["peers"], caller.role != Role.PATIENT and "staff"),
    )
    between = CONVERSATION_TYPE_STAFF if with_staff or kind != 2 else CONVERSATION_TYPE_USERS
    said = {} if row["withdrawn_at"] else parse_extra(row["extra"] or "")
    return {
        "sessionId": row["public_id"].decode(),
        "chatGroupId": str(row["conversation_id"]) if kind == 4 else "",
        "msgType": kind,
        "conversationType": CONVERSATION_TYPE_GROUP if kind == 4 else between,
        "state": "closed" if row["archived_at"] else row["state"] or "open",
        "userId": str(row["peer"] or ""),
        "userType": {"staff": UserKind.STAFF, "patient": UserKind.USER}.get(row["peers"]),
        "name": row["name"] or "",
        "phone": formatting.mask_phone(row["phone"]) if row["phone"] else "",
        "photo": links.sign(row["photo_key"].decode()) if row["photo_key"] else "",
        "unread": int(row["unread"]),
        "lastMessageId": ids.encode(row["tick"], row["tag"]) if row["tick"] else "",
        "lastMessage": "" if row["withdrawn_at"] else str(said.get("caption", row["content"] or "")),
        "lastItemType": MessageType.IMAGE if row["object_key"] else row["type"] or 0,
        "lastTime": clock.format_wire_time(row["active"]),
    }
