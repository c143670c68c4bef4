"""Sessions of patients with the help desk: join the queue, serve a patient, close a session."""

from dataclasses import replace
from typing import Any

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.helpdesk import assignment, chats, person_cards, queue_store
from chalicelib.helpdesk.assignment import ChangedParticipants
from chalicelib.helpdesk.models import CloseSessionRequest, Session
from chalicelib.helpdesk.queue_store import ChatState, DeskChat
from chalicelib.identity.callers import Caller, Role
from chalicelib.messaging import log, membership_store
from chalicelib.messaging.models import ConversationKind, NewMessage
from chalicelib.people import posts
from chalicelib.people.persons import Person

CLOSING_MESSAGE = NewMessage(
    "会话已结束", "close", extra='{"note":"closed"}', closes_conversation=True, few_recipients=True
)


def request_agent(caller: Caller, skill: str) -> Session:
    """Assign an agent to a patient, or return their position in the queue.

    Raises:
        ApiError: 403 for staff.
    """
    if caller.role != Role.PATIENT:
        raise ApiError(errors.NOT_ALLOWED, "只有患者可以请求客服")
    return join_queue(caller, skill)


def join_queue(caller: Caller, skill: str | None) -> Session:
    """Put a patient into the queue and assign an agent if one is available.

    A patient who is being served keeps their agent, one who is waiting keeps their position.

    Args:
        skill: skill or department that the patient wants, "" for any, None for the same as last time.
    """
    tenant_id, user_id = caller.tenant_id, caller.user_id
    get_or_create_session_id(caller)

    def join(tx: Tx, ticket: int, changed: ChangedParticipants) -> tuple[DeskChat, int]:
        chat = _get_chat(tx, tenant_id, user_id)
        if not is_served(chat):
            wanted_skill = _normalize_skill(tx, tenant_id, chat.skill if skill is None else skill)
            own_ticket = chat.ticket if _is_waiting(chat) else ticket
            queue_store.enqueue(tx, chat.conversation_id, own_ticket, wanted_skill, _get_start_seq(chat), caller.app_id)
            _reopen_conversation(tx, tenant_id, chat)
        assignment.assign_waiting(tx, tenant_id, changed)
        return _get_chat_and_position(tx, tenant_id, user_id)

    return _build_session(caller, *assignment.run_under_desk_lock(tenant_id, join))


def ensure_open_session(caller: Caller) -> str:
    """Return the session_id of a patient's chat with the help desk; they join the queue unless served or waiting."""
    chat = queue_store.find_chat(mysql.autocommit, caller.tenant_id, caller.user_id)
    if chat and _is_at_desk(chat):
        return chat.session_id
    return join_queue(caller, None)["sessionId"]


def get_or_create_session_id(caller: Caller) -> str:
    """Return the session_id of a patient's chat with the help desk, without opening it."""
    pair = (caller.user_id, 0)
    return chats.get_or_create(caller.tenant_id, ConversationKind.DESK, [pair])[pair]


def serve_patient(caller: Caller, person: Person, user_id: int) -> Session:
    """Assign a patient to the caller, a member of staff.

    A doctor serves own patients, and whoever waits for the help desk or is being served there.

    Raises:
        ApiError: 404 as `chats.require_may_begin` raises it; 409 if the caller has no post or has reached its cap, if
            another agent on duty serves the patient, or if the patient has just left. Nothing has been created then.
    """
    tenant_id = caller.tenant_id
    found = queue_store.find_chat(mysql.autocommit, tenant_id, user_id)
    was_at_desk = found is not None and _is_at_desk(found)
    if not was_at_desk:
        chats.require_may_begin(caller, {user_id: person})
    if not found:
        _require_can_serve(mysql.autocommit, caller, None)
        chats.get_or_create(tenant_id, ConversationKind.DESK, [(user_id, 0)])

    def serve(tx: Tx, ticket: int, changed: ChangedParticipants) -> tuple[DeskChat, int]:
        chat = _get_chat(tx, tenant_id, user_id)
        if was_at_desk and caller.role == Role.DOCTOR and not _is_at_desk(chat):
            raise ApiError(errors.CONFLICT, "会话刚刚结束")  # so the doctor's own patients have to be checked
        if not _require_can_serve(tx, caller, chat):
            started_seq = _get_start_seq(chat)
            queue_store.enqueue(tx, chat.conversation_id, ticket, chat.skill, started_seq, caller.app_id)
            _reopen_conversation(tx, tenant_id, chat)
            entry = replace(chat, ticket=ticket, started_seq=started_seq)
            assignment.assign_agent(tx, tenant_id, entry, caller.user_id, changed)
        return _get_chat_and_position(tx, tenant_id, user_id)

    return _build_session(caller, *assignment.run_under_desk_lock(tenant_id, serve))


def close_session(caller: Caller, request: CloseSessionRequest) -> None:
    """End a chat, by either participant, with a closing message. Closing again changes nothing.

    Raises:
        ApiError: 404 if the caller takes no part in such a chat.
    """
    conversation = chats.get_conversation(caller, request.sessionId, (ConversationKind.DIRECT, ConversationKind.DESK))
    if not conversation.archived:
        try:
            log.append(caller.tenant_id, conversation.kind, conversation.public_id, caller.principal, CLOSING_MESSAGE)
        except ApiError as error:
            if error.kind is not errors.NOT_ALLOWED:  # otherwise the other participant has closed it first
                raise
    if conversation.kind == ConversationKind.DESK:
        assignment.run_under_desk_lock(
            caller.tenant_id,
            lambda tx, _, changed: _finish_session(tx, caller.tenant_id, conversation.public_id, changed),
        )


def close_for_account(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job CLOSE_DESK_SESSION: end the chat of an account that is closed. Running it again changes nothing.

    Args:
        payload: user_id.
    """
    user_id = payload["user_id"]
    chat = queue_store.find_chat(mysql.autocommit, tenant_id, user_id)
    if chat and chat.state != ChatState.CLOSED:
        owner = Caller(tenant_id, Role.PATIENT, f"user:{user_id}")
        close_session(owner, CloseSessionRequest(sessionId=chat.session_id))


def is_served(chat: DeskChat) -> bool:
    """Return whether the chat is open and has an enabled agent."""
    has_agent = chat.agent_id is not None and not chat.agent_disabled
    return chat.state == ChatState.OPEN and has_agent and not chat.archived


def _is_at_desk(chat: DeskChat) -> bool:
    """Return whether the patient has asked the help desk, and is waiting or being served."""
    return is_served(chat) or _is_waiting(chat)


def _is_waiting(chat: DeskChat) -> bool:
    return chat.state == ChatState.WAITING and not chat.archived


def _get_start_seq(chat: DeskChat) -> int:
    """Return the seq of the last message before the current session, or before the one that starts now."""
    return chat.last_seq if chat.state == ChatState.CLOSED or chat.archived else chat.started_seq


def _require_can_serve(tx: Tx, caller: Caller, chat: DeskChat | None) -> bool:
    """Return whether the caller serves the patient already. Raise ApiError(CONFLICT) if they may not serve them.

    Args:
        chat: of the patient, None if they have none yet.
    """
    agents = {agent.user_id: agent for agent in queue_store.list_agents(tx, caller.tenant_id)}
    own, agent_id = agents.get(caller.user_id), chat.agent_id if chat and is_served(chat) else None
    if own is None:
        raise ApiError(errors.CONFLICT, "没有客服岗位，不能接待")
    if agent_id == caller.user_id:
        return True
    if own.serving >= own.cap:
        raise ApiError(errors.CONFLICT, "接待人数已满")
    current = agents.get(agent_id or 0)
    if current and current.on_duty:
        raise ApiError(errors.CONFLICT, "该用户正由其他客服接待")
    return False


def _finish_session(tx: Tx, tenant_id: int, session_id: str, changed: ChangedParticipants) -> None:
    """Close the chat unless the patient has reopened the conversation in the meantime, then assign waiting patients."""
    chat = queue_store.find_chat_by_session(tx, tenant_id, session_id)
    assert chat is not None, "the caller takes part in it"
    if chat.archived and queue_store.close(tx, chat.conversation_id) and chat.agent_id:
        posts.update_last_activity(tx, tenant_id, chat.agent_id)
    assignment.assign_waiting(tx, tenant_id, changed)


def _get_chat(tx: Tx, tenant_id: int, user_id: int) -> DeskChat:
    chat = queue_store.find_chat(tx, tenant_id, user_id)
    assert chat is not None, "it has been created before, and chats are never deleted"
    return chat


def _normalize_skill(tx: Tx, tenant_id: int, skill: str) -> str:
    """Return the skill, "" if no agent has it: a patient who wants it would wait forever."""
    return skill if skill in assignment.get_offered_skills(queue_store.list_agents(tx, tenant_id)) else ""


def _reopen_conversation(tx: Tx, tenant_id: int, chat: DeskChat) -> None:
    membership_store.set_archived(tx, tenant_id, [chat.session_id], (ConversationKind.DESK,), None)


def _get_chat_and_position(tx: Tx, tenant_id: int, user_id: int) -> tuple[DeskChat, int]:
    chat = _get_chat(tx, tenant_id, user_id)
    if chat.state != ChatState.WAITING:
        return chat, 0
    return chat, queue_store.get_queue_position(tx, tenant_id, chat.ticket, chat.skill)


def _build_session(caller: Caller, chat: DeskChat, position: int) -> Session:
    agent = (
        person_cards.get_for_staff(caller.tenant_id, chat.agent_id)
        if chat.state == ChatState.OPEN and chat.agent_id
        else None
    )
    return {"sessionId": chat.session_id, "state": chat.state, "place": position, "agent": agent}
