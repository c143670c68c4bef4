"""Who serves whom at the desk: decided, one patient after the other, by whoever holds the hospital's desk.

The load of an agent is counted from the chats that they serve, so that it cannot drift from them.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.helpdesk import queue_store
from chalicelib.messaging import membership, membership_store
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import posts

T = TypeVar("T")
ChangedParticipants = dict[str, list[str]]  # that were changed, by public id


def run_under_desk_lock(tenant_id: int, work: Callable[[Tx, int, ChangedParticipants], T]) -> T:
    """Do work under the desk's lock, with a ticket; then let in whoever there is room for, and tell them.

    work notes in Seats which seats it has changed itself.
    """

    def whole(tx: Tx) -> tuple[T, ChangedParticipants]:
        seats: ChangedParticipants = {}
        done = work(tx, queue_store.lock_desk(tx, tenant_id), seats)
        return done, seats

    done, seats = mysql.run_transaction(whole)
    if seats:
        membership.invalidate_participants(seats)
        outbox.wake_worker()
    return done


def assign_waiting(tx: Tx, tenant_id: int, seats: ChangedParticipants) -> None:
    """Give those who wait, in their order, to agents who have room: first to who served them last, then to who serves
    the fewest, then to who has been idle longest. What nobody does any more, anybody may do."""
    everybody = queue_store.list_agents(tx, tenant_id)
    agents, skills = (
        [one for one in everybody if one["on_duty"] and one["serving"] < one["cap"]],
        get_offered_skills(everybody),
    )
    for chat in queue_store.list_waiting(tx, tenant_id, sorted(skills - get_offered_skills(agents))) if agents else []:
        wish = {chat["skill"]} & skills
        able = [one for one in agents if one["serving"] < one["cap"] and wish <= get_agent_skills(one)]
        if able:
            agent = min(able, key=lambda one: _rank_agent(one, chat["agent_id"]))
            assign_agent(tx, tenant_id, chat, agent["user_id"], seats)
            agent["serving"] += 1


def _rank_agent(agent: Row, last: int | None) -> tuple[bool, int, int, int]:
    return agent["user_id"] != last, agent["serving"], agent["idle_since"], agent["post_id"]


def get_offered_skills(agents: Iterable[Row]) -> set[str]:
    """What may be asked for at the desk: what somebody does, on duty or not."""
    return {skill for one in agents if not one["gone"] for skill in get_agent_skills(one)}


def get_agent_skills(agent: Row) -> set[str]:
    """What a patient may ask for to come to an agent: skill, or department by its name or id."""
    return {text for text in (agent["skill"], agent["department"], str(agent["dept_id"] or "")) if text}


def assign_agent(tx: Tx, tenant_id: int, chat: Row, agent_id: int, seats: ChangedParticipants) -> None:
    """Have an agent serve a chat: they get a seat, and who served before loses theirs. What was said since the patient
    came is for them to read."""
    conversation_id, agent, now = chat["conversation_id"], f"user:{agent_id}", clock.now()
    former = [f"user:{chat['agent_id']}"] if chat["agent_id"] not in (None, agent_id) else []
    membership_store.lock_conversation(tx, conversation_id)
    membership_store.insert_and_lock_participants(tx, tenant_id, conversation_id, [agent, *former], now)
    if former:
        membership_store.set_left(tx, conversation_id, former, now, kicked=False)
    membership_store.set_joined(tx, conversation_id, [agent], chat["started_seq"], now)
    queue_store.assign_agent(tx, conversation_id, agent_id)
    posts.mark_idle(tx, tenant_id, agent_id)
    session_id = chat["session_id"].decode()
    seats[session_id] = [agent, *former]
    told = {
        "principals": [agent, f"user:{chat['user_id']}"],
        "type": EventType.DESK_SESSION_ASSIGNED,
        "content": {"sessionId": session_id},
        "at": now,
    }
    outbox.enqueue(tx, tenant_id, Job.PUBLISH_EVENT, told, dedup_key=f"desk:{conversation_id}:{chat['ticket']}")
