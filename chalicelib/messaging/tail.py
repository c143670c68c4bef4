"""The newest messages of each conversation in Redis, and how a reader knows that they are the newest.

MySQL is the truth. A writer leaves a mark before its transaction; one script after the commit adds the message and
clears the mark. A reader believes a tail only if this very server has kept it since it was filled, no mark is open,
and the seqs run without a hole up to last_seq; and it compares with MySQL again after 10 seconds, in case a writer
could not reach Redis. Else it reads MySQL and refills. Whatever happens in between - a mark, a message, a withdrawal -
changes the tail's version, and a refill takes effect only on the version it was read for.
"""

from dataclasses import dataclass
from typing import Any

from chalicelib import clock
from chalicelib.adapters import redis
from chalicelib.adapters.redis import Call
from chalicelib.messaging import scripts
from chalicelib.messaging.models import Message, Seat, Snapshot, Written
from chalicelib.messaging.scripts import BELIEVED, KEPT

__all__ = ["BELIEVED", "KEPT"]


@dataclass(frozen=True, slots=True)
class View:
    """What a reader found: `whole` can be believed, `stale` once MySQL agrees with it, `broken` not at all."""

    verdict: str
    version: str
    at: int  # the server's time, milliseconds
    last_seq: int = 0
    changes: int = 0
    seat: Seat | None = None
    messages: tuple[Message, ...] = ()  # newest first


def mark(public_id: str, writer: str) -> bool:
    """Say that a writer is about to commit; return whether Redis heard it."""
    return redis.attempt(scripts.MARK, _keys(public_id), [writer])


def unmark(public_id: str, writer: str) -> None:
    """The writer committed nothing."""
    redis.attempt(scripts.UNMARK, _keys(public_id), [writer])


def publishing(public_id: str, writer: str, written: Written, sender: str) -> Call:
    """Show a committed message and clear its writer's mark. Doing so twice changes nothing.

    sender counts the message as its own; "" for a message that was there before.
    """
    message = written.message
    return scripts.PUBLISH, _keys(public_id), [writer, message.seq, message.record(), written.changes, sender]


def reading(public_id: str, limit: int, principal: str, nonce: str) -> Call:
    """Return the script whose answer `view` reads, to be run with others."""
    return scripts.READ, _keys(public_id), [limit, principal, nonce]


def view(public_id: str, principal: str, answer: list[Any]) -> View:
    """Read a READ's answer. What this process knows to be longer is not believed."""
    verdict, version, at, *rest = answer
    if verdict == "broken":
        return View("broken", version, int(at))
    last_seq, changes, read, own, hidden = (int(number) for number in rest[:5])
    if not _knows_no_more(public_id, last_seq):
        return View("broken", version, int(at))
    seat = Seat(principal, read, own, hidden)
    return View(verdict, version, int(at), last_seq, changes, seat, tuple(map(Message.of_record, rest[5:])))


def confirming(public_id: str, seen: View) -> Call:
    """MySQL agrees with what was seen."""
    return scripts.CONFIRM, _keys(public_id), [seen.version, seen.at]


def refilling(public_id: str, seen: View, found: Snapshot) -> Call:
    """Replace a tail that could not be believed by what MySQL has, unless it changed since it was seen."""
    seats = [part for s in found.seats for part in (s.principal, s.read_seq, s.own_since, s.hidden_seq)]
    records = [part for message in found.messages for part in (message.seq, message.record())]
    head = [seen.version, seen.at, found.last_seq, found.changes, len(found.seats)]
    return scripts.REFILL, _keys(public_id), [*head, *seats, *records]


def reseat(public_id: str, version: str, seat: Seat) -> None:
    """A seat changed in MySQL. Without Redis the copy catches up when it is next refilled."""
    arguments = [version, seat.principal, seat.read_seq, seat.own_since, seat.hidden_seq]
    redis.attempt(scripts.RESEAT, _keys(public_id), arguments)


# What this process learned from MySQL while Redis was out of its reach: the copy there may not know it yet, and a
# reader here must not be shown less than before. After BELIEVED seconds every reader compares with MySQL anyway.
_ahead: dict[str, tuple[int, float]] = {}


def learn(public_id: str, last_seq: int) -> None:
    """Remember for a while how long a log is that Redis could not be told of."""
    now = clock.monotonic()
    for known in [known for known, (_, until) in _ahead.items() if until < now]:
        _ahead.pop(known, None)
    _ahead[public_id] = (max(last_seq, _ahead.get(public_id, (0, 0.0))[0]), now + 2 * BELIEVED)


def _knows_no_more(public_id: str, last_seq: int) -> bool:
    return not _ahead or _ahead.get(public_id, (0, 0.0))[0] <= last_seq


def _keys(public_id: str) -> list[str]:
    return [f"log:{{{public_id}}}:{part}" for part in ("state", "tail", "marks")]
