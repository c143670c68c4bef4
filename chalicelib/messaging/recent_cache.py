"""The newest messages of each conversation in Redis, and how a reader knows that they are the newest.

MySQL is the truth. A writer leaves a mark before its transaction; one script after the commit adds the message and
clears the mark. A reader believes a tail only if this very server has kept it since it was filled, no mark is open,
and the seqs run without a hole up to last_seq; and it compares with MySQL again after 10 seconds, in case a writer
could not reach Redis. Else it reads MySQL and refills. Whatever happens in between - a mark, a message, a withdrawal, a
seat that changes, another refill - changes the tail's version, and a refill takes effect only on the version it was
read for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.adapters.redis import ScriptCall
from chalicelib.errors import ApiError
from chalicelib.messaging import ids, recent_cache_scripts
from chalicelib.messaging.models import Message, ParticipantState, Snapshot, StoredMessage
from chalicelib.messaging.recent_cache_scripts import MAX_MESSAGES, TRUST_SECONDS

__all__ = ["MAX_MESSAGES", "TRUST_SECONDS"]

T = TypeVar("T")

SCHEMA_VERSION = (
    3  # of what is kept; a deployment that changes it, or a script, must not meet what the one before has left
)


@dataclass(frozen=True, slots=True)
class CacheView:
    """What a reader found: `whole` can be believed, `stale` once MySQL agrees with it, `broken` not at all."""

    verdict: str
    version: str
    server_time_ms: int  # the server's time, milliseconds
    distrusted_until: float | None  # when this process stops doubting the tail, whatever it holds; None if it does not
    tenant_id: int = 0
    last_seq: int = 0
    changes: int = 0
    participant: ParticipantState | None = (
        None  # None where the tail does not hold it: whether there is one, MySQL must say
    )
    messages: tuple[Message, ...] = ()  # newest first


def run_with_write_intent(public_id: str, writer: str, work: Callable[[], T]) -> T:
    """Do a write under a mark, which goes where nothing was committed."""
    add_write_intent(public_id, writer)
    try:
        return work()
    except ApiError as refused:
        if refused.kind is not errors.UNAVAILABLE:  # then it may be committed: the mark keeps readers with MySQL
            remove_write_intent(public_id, writer)
        raise


def add_write_intent(public_id: str, writer: str) -> bool:
    """Say that a writer is about to commit; return whether Redis heard it."""
    return redis.try_script(recent_cache_scripts.ADD_WRITE_INTENT, build_keys(public_id), [writer])


def remove_write_intent(public_id: str, writer: str) -> None:
    """The writer committed nothing."""
    redis.try_script(recent_cache_scripts.REMOVE_WRITE_INTENT, build_keys(public_id), [writer], ignore_backoff=True)


def build_publish_call(public_id: str, writer: str, written: StoredMessage, sender: str) -> ScriptCall:
    """Show a committed message and clear its writer's mark. Doing so twice changes nothing.

    sender counts the message as its own; "" for a message that was there before.
    """
    message = written.message
    arguments = [writer, message.seq, message.to_record(), written.changes, int(written.counts_as_change), sender]
    return recent_cache_scripts.PUBLISH, build_keys(public_id), arguments


def build_read_call(public_id: str, limit: int, principal: str, nonce: str) -> ScriptCall:
    """Return the script whose answer `view` reads, to be run with others."""
    return recent_cache_scripts.READ, build_keys(public_id), [limit, principal, nonce]


def parse_view(public_id: str, principal: str, answer: list[Any]) -> CacheView:
    """Read a READ's answer. A tail that this process doubts is broken."""
    verdict, version, at, *rest = answer
    doubted = _distrusted_until.get(public_id)
    if verdict == "broken" or (doubted and doubted > clock.monotonic()):
        return CacheView("broken", version, int(at), doubted)
    tenant_id, last_seq, changes = (int(number) for number in rest[:3])
    seat = ParticipantState(principal, *(int(number) for number in rest[3:6])) if rest[3] else None
    messages = Message.from_records(rest[6:])
    return CacheView(verdict, version, int(at), None, tenant_id, last_seq, changes, seat, messages)


def build_confirm_call(public_id: str, seen: CacheView, seat: ParticipantState) -> ScriptCall:
    """MySQL agrees with what was seen of the log, and has this seat; answers None where the tail changed since."""
    arguments = [seen.version, seen.server_time_ms, seat.principal, seat.read_seq, seat.own_after_read, seat.hidden_seq]
    return recent_cache_scripts.CONFIRM, build_keys(public_id), arguments


def build_refill_call(public_id: str, seen: CacheView, found: Snapshot) -> ScriptCall:
    """Replace a tail that could not be believed by what MySQL has; answers None where it changed since it was seen."""
    seats = [part for s in found.participants for part in (s.principal, s.read_seq, s.own_after_read, s.hidden_seq)]
    records = [part for message in found.messages for part in (message.seq, message.to_record())]
    head = [seen.version, seen.server_time_ms, found.tenant_id, found.last_seq, found.changes, len(found.participants)]
    return recent_cache_scripts.REFILL, build_keys(public_id), [*head, *seats, *records]


def set_participant(public_id: str, version: str, seat: ParticipantState) -> None:
    """A seat changed in MySQL."""
    if not redis.try_script(*build_set_participant_call(public_id, version, seat)):
        distrust(public_id)


def build_set_participant_call(public_id: str, version: str, seat: ParticipantState) -> ScriptCall:
    """Return the script that `reseat` runs, to be run with others."""
    arguments = [version, ids.generate_nonce(), seat.principal, seat.read_seq, seat.own_after_read, seat.hidden_seq]
    return recent_cache_scripts.SET_PARTICIPANT, build_keys(public_id), arguments


def build_forget_participants_call(public_id: str, writer: str, principals: list[str]) -> ScriptCall:
    """Forget seats that were taken or given up, and clear that writer's mark."""
    return recent_cache_scripts.FORGET_PARTICIPANTS, build_keys(public_id), [writer, *principals]


# Tails that may not hold what this process has learned from MySQL - Redis was out of its reach, or its refill came too
# late - and when each is no longer doubted. A reader here must not be shown less than before.
_distrusted_until: dict[str, float] = {}  # the oldest first
_lock = Lock()


def distrust(public_id: str) -> None:
    """Believe this tail only after a refill, or when every reader has compared it with MySQL anyway."""
    now = clock.monotonic()
    with _lock:
        _distrusted_until.pop(public_id, None)
        _distrusted_until[public_id] = now + 2 * TRUST_SECONDS
        while _distrusted_until[oldest := next(iter(_distrusted_until))] < now:
            del _distrusted_until[oldest]


def trust(public_id: str, seen: CacheView) -> None:
    """Redis now holds what MySQL told after this look; a doubt that is younger stays."""
    with _lock:
        if seen.distrusted_until and _distrusted_until.get(public_id) == seen.distrusted_until:
            del _distrusted_until[public_id]


def build_keys(public_id: str) -> list[str]:
    return [f"log:{SCHEMA_VERSION}:{{{public_id}}}:{part}" for part in ("state", "tail", "marks")]
