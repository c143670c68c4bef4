"""Patients at the desk: coming, waiting, being served, leaving; and staff who take a patient themselves."""

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import ApiError
from chalicelib.helpdesk import assignment, chats, post_cards, queue_store
from chalicelib.helpdesk.assignment import ChangedParticipants
from chalicelib.helpdesk.models import Session, SessionClosing
from chalicelib.helpdesk.queue_store import ChatState
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log, membership_store
from chalicelib.messaging.models import ConversationKind, NewMessage
from chalicelib.people import posts

CLOSING_MESSAGE = NewMessage("会话已结束", "close", extra='{"note":"closed"}', closes_conversation=True)


def request_agent(caller: Caller, skill: str) -> Session:
    """Have a patient served, or tell their place. ApiError 403 for staff."""
    if caller.role != Role.PATIENT:
        raise ApiError(errors.NOT_ALLOWED, "只有患者可以请求客服")
    return join_queue(caller, skill)


def join_queue(caller: Caller, skill: str | None) -> Session:
    """A patient comes to the desk, with the same wish as last time (None) or another. Who waits or is served already
    stays where they are."""
    tenant_id, user_id = caller.tenant_id, caller.user_id
    chats.get_or_create(tenant_id, ConversationKind.DESK, [(user_id, 0)])

    def work(tx: Tx, ticket: int, seats: ChangedParticipants) -> tuple[Row, int]:
        chat = _get_chat(tx, tenant_id, user_id)
        if not is_served(chat):
            wish = _normalize_skill(tx, tenant_id, chat["skill"] if skill is None else skill)
            place = chat["ticket"] if _is_waiting(chat) else ticket
            queue_store.enqueue(tx, chat["conversation_id"], place, wish, _get_start_seq(chat), caller.app_id)
            _reopen_chat(tx, tenant_id, chat)
        assignment.assign_waiting(tx, tenant_id, seats)
        return _get_chat_and_position(tx, tenant_id, user_id)

    return _build_session(caller, *assignment.run_under_desk_lock(tenant_id, work))


def ensure_open_session(caller: Caller) -> str:
    """Return the session in which a patient writes to the desk: open, or opened by that."""
    chat = queue_store.find_chat(mysql.autocommit, caller.tenant_id, caller.user_id)
    if chat and (is_served(chat) or _is_waiting(chat)):
        return str(chat["session_id"].decode())
    return join_queue(caller, None)["sessionId"]


def get_or_create_session_id(caller: Caller) -> str:
    """Return the session in which a patient writes to the desk, as it is."""
    pair = (caller.user_id, 0)
    return chats.get_or_create(caller.tenant_id, ConversationKind.DESK, [pair])[pair]


def serve_patient(caller: Caller, user_id: int) -> Session:
    """A member of staff serves a patient themselves. ApiError 409 without a post, above its cap, and where somebody
    else
    on duty serves them."""
    tenant_id, own = caller.tenant_id, caller.user_id
    chats.get_or_create(tenant_id, ConversationKind.DESK, [(user_id, 0)])

    def work(tx: Tx, ticket: int, seats: ChangedParticipants) -> tuple[Row, int]:
        chat, agents = (
            _get_chat(tx, tenant_id, user_id),
            {one["user_id"]: one for one in queue_store.list_agents(tx, tenant_id)},
        )
        mine = is_served(chat) and chat["agent_id"] == own
        if own not in agents:
            raise ApiError(errors.CONFLICT, "没有客服岗位，不能接待")
        if not mine and agents[own]["serving"] >= agents[own]["cap"]:
            raise ApiError(errors.CONFLICT, "接待人数已满")
        if not mine and is_served(chat) and agents.get(chat["agent_id"], {}).get("on_duty"):
            raise ApiError(errors.CONFLICT, "该用户正由其他客服接待")
        if not mine:
            begun = _get_start_seq(chat)
            queue_store.enqueue(tx, chat["conversation_id"], ticket, chat["skill"], begun, caller.app_id)
            _reopen_chat(tx, tenant_id, chat)
            assignment.assign_agent(tx, tenant_id, {**chat, "ticket": ticket, "started_seq": begun}, own, seats)
        return _get_chat_and_position(tx, tenant_id, user_id)

    return _build_session(caller, *assignment.run_under_desk_lock(tenant_id, work))


def close_session(caller: Caller, asked: SessionClosing) -> None:
    """End a chat, by either side: a note is its last message. Doing so again changes nothing. ApiError 404 else."""
    room = chats.get_conversation(caller, asked.sessionId, (ConversationKind.DIRECT, ConversationKind.DESK))
    if not room.archived:
        try:
            log.append(caller.tenant_id, room.kind, room.public_id, caller.principal, CLOSING_MESSAGE)
        except ApiError as refused:
            if refused.kind is not errors.NOT_ALLOWED:  # the other side was faster
                raise
    if room.kind == ConversationKind.DESK:
        assignment.run_under_desk_lock(
            caller.tenant_id, lambda tx, _, seats: _finish_session(tx, caller.tenant_id, room.public_id, seats)
        )


def is_served(chat: Row) -> bool:
    agent = chat["agent_id"] is not None and not chat["agent_gone"]
    return bool(chat["state"] == ChatState.OPEN and agent and not chat["archived"])


def _is_waiting(chat: Row) -> bool:
    return bool(chat["state"] == ChatState.WAITING and not chat["archived"])


def _get_start_seq(chat: Row) -> int:
    """After which message a patient who is given to somebody has come."""
    return int(chat["last_seq"] if chat["state"] == ChatState.CLOSED or chat["archived"] else chat["started_seq"])


def _finish_session(tx: Tx, tenant_id: int, session_id: str, seats: ChangedParticipants) -> None:
    """Nothing where the patient has come back in the meantime."""
    chat = queue_store.find_chat_by_session(tx, tenant_id, session_id)
    assert chat is not None, "the caller was seen in it"
    if chat["archived"] and queue_store.close(tx, chat["conversation_id"]) and chat["agent_id"]:
        posts.mark_idle(tx, tenant_id, chat["agent_id"])
    assignment.assign_waiting(tx, tenant_id, seats)


def _get_chat(tx: Tx, tenant_id: int, user_id: int) -> Row:
    chat = queue_store.find_chat(tx, tenant_id, user_id)
    assert chat is not None, "it was made before, and chats stay"
    return chat


def _normalize_skill(tx: Tx, tenant_id: int, skill: str) -> str:
    """What nobody does, anybody may do: else whoever asks for it waits for ever."""
    return skill if skill in assignment.get_offered_skills(queue_store.list_agents(tx, tenant_id)) else ""


def _reopen_chat(tx: Tx, tenant_id: int, chat: Row) -> None:
    membership_store.set_archived(tx, tenant_id, [chat["session_id"].decode()], (ConversationKind.DESK,), None)


def _get_chat_and_position(tx: Tx, tenant_id: int, user_id: int) -> tuple[Row, int]:
    chat = _get_chat(tx, tenant_id, user_id)
    waits = chat["state"] == ChatState.WAITING
    return chat, queue_store.get_queue_position(tx, tenant_id, chat["ticket"], chat["skill"]) if waits else 0


def _build_session(caller: Caller, chat: Row, place: int) -> Session:
    agent = (
        post_cards.get_for_staff(caller.tenant_id, chat["agent_id"])
        if chat["state"] == ChatState.OPEN and chat["agent_id"]
        else None
    )
    return {"sessionId": chat["session_id"].decode(), "state": chat["state"], "place": place, "agent": agent}
