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
from chalicelib.outbox import outbox
from chalicelib.people import posts

T = TypeVar("T")
Seats = dict[str, list[str]]  # that were changed, by public id

SERVED = 1400  # type of the event at /notify


def at_the_desk(tenant_id: int, work: Callable[[Tx, int, Seats], T]) -> T:
    """Do work under the desk's lock, with a ticket; then let in whoever there is room for, and tell them.

    work notes in Seats which seats it has changed itself.
    """

    def whole(tx: Tx) -> tuple[T, Seats]:
        seats: Seats = {}
        done = work(tx, queue_store.hold(tx, tenant_id), seats)
        return done, seats

    done, seats = mysql.transact(whole)
    if seats:
        membership.reseated(seats)
        outbox.nudge()
    return done


def let_in(tx: Tx, tenant_id: int, seats: Seats) -> None:
    """Give those who wait, in their order, to agents who have room: first to who served them last, then to who serves
    the fewest, then to who has been idle longest. What nobody does any more, anybody may do."""
    everybody = queue_store.agents(tx, tenant_id)
    agents, skills = [one for one in everybody if one["on_duty"] and one["serving"] < one["cap"]], offered(everybody)
    for chat in queue_store.waiting(tx, tenant_id, sorted(skills - offered(agents))) if agents else []:
        wish = {chat["skill"]} & skills
        able = [one for one in agents if one["serving"] < one["cap"] and wish <= does(one)]
        if able:
            agent = min(able, key=lambda one: _order(one, chat["agent_id"]))
            give(tx, tenant_id, chat, agent["user_id"], seats)
            agent["serving"] += 1


def _order(agent: Row, last: int | None) -> tuple[bool, int, int, int]:
    return agent["user_id"] != last, agent["serving"], agent["idle_since"], agent["post_id"]


def offered(agents: Iterable[Row]) -> set[str]:
    """What may be asked for at the desk: what somebody does, on duty or not."""
    return {skill for one in agents if not one["gone"] for skill in does(one)}


def does(agent: Row) -> set[str]:
    """What a patient may ask for to come to an agent: skill, or department by its name or id."""
    return {text for text in (agent["skill"], agent["department"], str(agent["dept_id"] or "")) if text}


def give(tx: Tx, tenant_id: int, chat: Row, agent_id: int, seats: Seats) -> None:
    """Have an agent serve a chat: they get a seat, and who served before loses theirs. What was said since the patient
    came is for them to read."""
    conversation_id, agent, now = chat["conversation_id"], f"user:{agent_id}", clock.now()
    former = [f"user:{chat['agent_id']}"] if chat["agent_id"] not in (None, agent_id) else []
    membership_store.hold(tx, conversation_id)
    membership_store.hold_seats(tx, tenant_id, conversation_id, [agent, *former], now)
    if former:
        membership_store.stand(tx, conversation_id, former, now, kicked=False)
    membership_store.sit(tx, conversation_id, [agent], chat["begun_seq"], now)
    queue_store.serve(tx, conversation_id, agent_id)
    posts.rest(tx, tenant_id, agent_id)
    session_id = chat["session_id"].decode()
    seats[session_id] = [agent, *former]
    told = {
        "principals": [agent, f"user:{chat['user_id']}"],
        "type": SERVED,
        "content": {"sessionId": session_id},
        "at": now,
    }
    outbox.put(tx, tenant_id, "push", told, once=f"desk:{conversation_id}:{chat['ticket']}")
