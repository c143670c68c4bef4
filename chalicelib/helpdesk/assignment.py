"""Assign waiting patients to agents, one at a time, under the lock of the tenant's help desk.

An agent's load is counted from the chats that they serve, so that the two cannot disagree.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.helpdesk import queue_store
from chalicelib.helpdesk.queue_store import Agent, QueueEntry
from chalicelib.messaging import listings, membership, membership_store
from chalicelib.notifications import event_jobs
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.people import posts

T = TypeVar("T")
ChangedParticipants = dict[str, list[str]]  # principals that have joined or left, by the conversation's public id


def run_under_desk_lock(tenant_id: int, work: Callable[[Tx, int, ChangedParticipants], T]) -> T:
    """Run `work` in a transaction that holds the desk's lock, then invalidate the participants that it has changed.

    Args:
        work: takes the transaction, a new ticket, and a dict in which it records changed participants. It must be
            idempotent: it is retried after a deadlock.
    """

    def run(tx: Tx) -> tuple[T, ChangedParticipants]:
        changed: ChangedParticipants = {}
        result = work(tx, queue_store.lock_desk(tx, tenant_id), changed)
        return result, changed

    result, changed = mysql.run_transaction(run)
    if changed:
        membership.invalidate_participants(changed)
        outbox.wake_worker()
    return result


def assign_waiting(tx: Tx, tenant_id: int, changed: ChangedParticipants) -> None:
    """Assign waiting patients, in the order of arrival, to agents who are on duty and below their cap.

    The agent is the one who served the patient last, else the one with the fewest open sessions, else the one with
    the oldest last_activity_at. A patient who wants a skill that no agent has any more is assigned to any agent.
    """
    agents = queue_store.list_agents(tx, tenant_id)
    available = [agent for agent in agents if agent.on_duty and agent.serving < agent.cap]
    if not available:
        return
    offered = get_offered_skills(agents)
    serving = {agent.user_id: agent.serving for agent in available}
    for entry in queue_store.list_waiting(tx, tenant_id, offered - get_offered_skills(available)):
        required = {entry.skill} & offered
        able = [
            agent for agent in available if serving[agent.user_id] < agent.cap and required <= get_agent_skills(agent)
        ]
        if able:
            agent = min(able, key=lambda one: _rank_agent(one, serving[one.user_id], entry.agent_id))
            assign_agent(tx, tenant_id, entry, agent.user_id, changed)
            serving[agent.user_id] += 1


def get_offered_skills(agents: Iterable[Agent]) -> set[str]:
    """Return what patients can request: the skills of all enabled agents, on duty or not."""
    return {skill for agent in agents if not agent.disabled for skill in get_agent_skills(agent)}


def get_agent_skills(agent: Agent) -> set[str]:
    """Return what a patient may ask for to reach this agent: the agent's skill, and the department's name and id."""
    return {text for text in (agent.skill, agent.department, str(agent.dept_id or "")) if text}


def assign_agent(tx: Tx, tenant_id: int, entry: QueueEntry, agent_id: int, changed: ChangedParticipants) -> None:
    """Make an agent a participant of a chat and remove the former agent.

    Messages of the current session are unread for the new agent.
    """
    conversation_id, agent, now = entry.conversation_id, f"user:{agent_id}", clock.now()
    former = [f"user:{entry.agent_id}"] if entry.agent_id not in (None, agent_id) else []
    membership_store.lock_conversation(tx, conversation_id)
    membership_store.insert_and_lock_participants(tx, tenant_id, conversation_id, [agent, *former], now)
    if former:
        membership_store.set_left(tx, conversation_id, former, now, removed=False)
    membership_store.set_joined(tx, conversation_id, [agent], entry.started_seq, now)
    listings.copy_to_participants(tx, tenant_id, [conversation_id])
    listings.set_peers(tx, tenant_id, conversation_id, entry.user_id, agent_id)
    queue_store.assign_agent(tx, conversation_id, agent_id)
    posts.update_last_activity(tx, tenant_id, agent_id)
    changed[entry.session_id] = [agent, *former]
    event_jobs.enqueue_event(
        tx,
        tenant_id,
        [agent, f"user:{entry.user_id}"],
        EventType.DESK_SESSION_ASSIGNED,
        {"sessionId": entry.session_id},
        now,
        dedup_key=f"desk:{conversation_id}:{entry.ticket}",
    )


def _rank_agent(agent: Agent, serving: int, last_agent_id: int | None) -> tuple[bool, int, int, int]:
    return agent.user_id != last_agent_id, serving, agent.last_activity_at, agent.post_id
