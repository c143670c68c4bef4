"""The caller's conversations, and the people in them."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.files import links
from chalicelib.helpdesk import list_store
from chalicelib.helpdesk.list_models import ListAsked, Listed
from chalicelib.helpdesk.message_views import extra_of
from chalicelib.helpdesk.models import STAFF, USER
from chalicelib.http.routing import Counted
from chalicelib.identity.callers import PATIENT, Caller
from chalicelib.messaging import ids
from chalicelib.messaging.models import IMAGE
from chalicelib.people import formatting

KINDS = {"notice": 1, "direct": 2, "consult": 2, "desk": 3}  # msgType; else 4
BETWEEN_USERS, WITH_STAFF, AMONG_MANY = 1, 2, 3  # conversationType


def conversations(caller: Caller, asked: ListAsked) -> Counted[list[Listed]]:
    return _listed(caller, asked, list_store.CONVERSATIONS)


def people(caller: Caller, asked: ListAsked) -> Counted[list[Listed]]:
    """Each person once, with what is unread in all conversations of the two."""
    return _listed(caller, asked, list_store.PERSONS)


def _listed(caller: Caller, asked: ListAsked, wanted: str) -> Counted[list[Listed]]:
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
    rows, total = mysql.autocommit(
        lambda tx: list_store.page(tx, wanted, limit=asked.limit, skipped=asked.skipped, **filters)
    )
    return Counted(data=[_entry(caller, row) for row in rows], count=total)


def _entry(caller: Caller, row: Row) -> Listed:
    kind, with_staff = KINDS.get(row["kind"], 4), "staff" in (row["peers"], caller.kind != PATIENT and "staff")
    between = WITH_STAFF if with_staff or kind != 2 else BETWEEN_USERS
    said = {} if row["withdrawn_at"] else extra_of(row["extra"] or "")
    return {
        "sessionId": row["public_id"].decode(),
        "chatGroupId": str(row["conversation_id"]) if kind == 4 else "",
        "msgType": kind,
        "conversationType": AMONG_MANY if kind == 4 else between,
        "state": "closed" if row["archived_at"] else row["state"] or "open",
        "userId": str(row["peer"] or ""),
        "userType": {"staff": STAFF, "patient": USER}.get(row["peers"]),
        "name": row["name"] or "",
        "phone": formatting.masked(row["phone"]) if row["phone"] else "",
        "photo": links.signed(row["photo_key"].decode()) if row["photo_key"] else "",
        "unread": int(row["unread"]),
        "lastMessageId": ids.encode(row["tick"], row["tag"]) if row["tick"] else "",
        "lastMessage": "" if row["withdrawn_at"] else str(said.get("caption", row["content"] or "")),
        "lastItemType": IMAGE if row["object_key"] else row["type"] or 0,
        "lastTime": clock.wire(row["active"]),
    }
