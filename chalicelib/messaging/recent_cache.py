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
from chalicelib.adapters.redis import Call
from chalicelib.errors import Refused
from chalicelib.messaging import ids, recent_cache_scripts
from chalicelib.messaging.models import Message, Seat, Snapshot, Written
from chalicelib.messaging.recent_cache_scripts import BELIEVED, KEPT

__all__ = ["BELIEVED", "KEPT"]

T = TypeVar("T")

SHAPE = 3  # of what is kept; a deployment that changes it, or a script, must not meet what the one before has left


@dataclass(frozen=True, slots=True)
class View:
    """What a reader found: `whole` can be believed, `stale` once MySQL agrees with it, `broken` not at all."""

    verdict: str
    version: str
    at: int  # the server's time, milliseconds
    doubted: float | None  # when this process stops doubting the tail, whatever it holds; None if it does not
    tenant_id: int = 0
    last_seq: int = 0
    changes: int = 0
    seat: Seat | None = None  # None where the tail does not hold it: whether there is one, MySQL must say
    messages: tuple[Message, ...] = ()  # newest first


def marked(public_id: str, writer: str, work: Callable[[], T]) -> T:
    """Do a write under a mark, which goes where nothing was committed."""
    mark(public_id, writer)
    try:
        return work()
    except Refused as refused:
        if refused.kind is not errors.UNAVAILABLE:  # then it may be committed: the mark keeps readers with MySQL
            unmark(public_id, writer)
        raise


def mark(public_id: str, writer: str) -> bool:
    """Say that a writer is about to commit; return whether Redis heard it."""
    return redis.attempt(recent_cache_scripts.MARK, _keys(public_id), [writer])


def unmark(public_id: str, writer: str) -> None:
    """The writer committed nothing."""
    redis.attempt(recent_cache_scripts.UNMARK, _keys(public_id), [writer], insist=True)


def publishing(public_id: str, writer: str, written: Written, sender: str) -> Call:
    """Show a committed message and clear its writer's mark. Doing so twice changes nothing.

    sender counts the message as its own; "" for a message that was there before.
    """
    message = written.message
    arguments = [writer, message.seq, message.record(), written.changes, int(written.changed), sender]
    return recent_cache_scripts.PUBLISH, _keys(public_id), arguments


def reading(public_id: str, limit: int, principal: str, nonce: str) -> Call:
    """Return the script whose answer `view` reads, to be run with others."""
    return recent_cache_scripts.READ, _keys(public_id), [limit, principal, nonce]


def view(public_id: str, principal: str, answer: list[Any]) -> View:
    """Read a READ's answer. A tail that this process doubts is broken."""
    verdict, version, at, *rest = answer
    doubted = _doubted.get(public_id)
    if verdict == "broken" or (doubted and doubted > clock.monotonic()):
        return View("broken", version, int(at), doubted)
    tenant_id, last_seq, changes = (int(number) for number in rest[:3])
    seat = Seat(principal, *(int(number) for number in rest[3:6])) if rest[3] else None
    messages = Message.of_records(rest[6:])
    return View(verdict, version, int(at), None, tenant_id, last_seq, changes, seat, messages)


def confirming(public_id: str, seen: View, seat: Seat) -> Call:
    """MySQL agrees with what was seen of the log, and has this seat; answers None where the tail changed since."""
    arguments = [seen.version, seen.at, seat.principal, seat.read_seq, seat.own_since, seat.hidden_seq]
    return recent_cache_scripts.CONFIRM, _keys(public_id), arguments


def refilling(public_id: str, seen: View, found: Snapshot) -> Call:
    """Replace a tail that could not be believed by what MySQL has; answers None where it changed since it was seen."""
    seats = [part for s in found.seats for part in (s.principal, s.read_seq, s.own_since, s.hidden_seq)]
    records = [part for message in found.messages for part in (message.seq, message.record())]
    head = [seen.version, seen.at, found.tenant_id, found.last_seq, found.changes, len(found.seats)]
    return recent_cache_scripts.REFILL, _keys(public_id), [*head, *seats, *records]


def reseat(public_id: str, version: str, seat: Seat) -> None:
    """A seat changed in MySQL."""
    if not redis.attempt(*reseating(public_id, version, seat)):
        doubt(public_id)


def reseating(public_id: str, version: str, seat: Seat) -> Call:
    """Return the script that `reseat` runs, to be run with others."""
    arguments = [version, ids.nonce(), seat.principal, seat.read_seq, seat.own_since, seat.hidden_seq]
    return recent_cache_scripts.RESEAT, _keys(public_id), arguments


def unseating(public_id: str, writer: str, principals: list[str]) -> Call:
    """Forget seats that were taken or given up, and clear that writer's mark."""
    return recent_cache_scripts.UNSEAT, _keys(public_id), [writer, *principals]


# Tails that may not hold what this process has learned from MySQL - Redis was out of its reach, or its refill came too
# late - and when each is no longer doubted. A reader here must not be shown less than before.
_doubted: dict[str, float] = {}  # the oldest first
_lock = Lock()


def doubt(public_id: str) -> None:
    """Believe this tail only after a refill, or when every reader has compared it with MySQL anyway."""
    now = clock.monotonic()
    with _lock:
        _doubted.pop(public_id, None)
        _doubted[public_id] = now + 2 * BELIEVED
        while _doubted[oldest := next(iter(_doubted))] < now:
            del _doubted[oldest]


def believe(public_id: str, seen: View) -> None:
    """Redis now holds what MySQL told after this look; a doubt that is younger stays."""
    with _lock:
        if seen.doubted and _doubted.get(public_id) == seen.doubted:
            del _doubted[public_id]


def _keys(public_id: str) -> list[str]:
    return [f"log:{SHAPE}:{{{public_id}}}:{part}" for part in ("state", "tail", "marks")]
