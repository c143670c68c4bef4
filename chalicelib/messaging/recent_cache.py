"""The recent-message cache: the newest messages of each conversation in Redis, and each participant's state.

MySQL is authoritative. A writer adds a write intent before its transaction; one script after the commit adds the
message and removes the intent. A reader trusts a conversation's cache only if this Redis server has held it since it
was filled, no write intent is open, and the seqs run without a gap up to last_seq; and it compares with MySQL again
after TRUST_SECONDS, in case a writer could not reach Redis. Otherwise it reads MySQL and refills. Everything that
happens in between - a write intent, a message, a withdrawal, a change of a participant's state, another refill -
changes the cache's version, and a refill takes effect only on the version that it was read for. The scripts are in
lua/cache_*.lua.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, TypeVar

from chalicelib import clock, errors
from chalicelib.adapters import redis
from chalicelib.adapters.redis import ScriptBatch, ScriptCall, load_script
from chalicelib.errors import ApiError
from chalicelib.messaging.models import Message, ParticipantState, Snapshot, StoredMessage

T = TypeVar("T")

SCHEMA_VERSION = 7  # of the stored data: a new version of the code must not read what another one wrote
MAX_MESSAGES = 200  # of a conversation
TRUST_SECONDS = 10  # without a comparison
WRITE_INTENT_SECONDS = 60  # after which the writer is presumed dead, and the next refill removes its intent
BUSY_SECONDS = 5  # for which a write intent is open at most, unless its writer hangs or is dead
MAX_OPEN_INTENTS = 8  # of a conversation; further writers add theirs when they are authenticated
TTL_SECONDS = 86_400  # of an unused cache

_ADD_WRITE_INTENT = load_script(
    __file__,
    *("cache_advance_version", "cache_add_write_intent"),
    TTL_SECONDS=TTL_SECONDS,
    WRITE_INTENT_SECONDS=WRITE_INTENT_SECONDS,
    MAX_OPEN_INTENTS=MAX_OPEN_INTENTS,
)
_REMOVE_WRITE_INTENT = load_script(__file__, "cache_remove_write_intent")
_PUBLISH = load_script(
    __file__,
    *("cache_advance_version", "cache_publish"),
    TTL_SECONDS=TTL_SECONDS,
    MAX_MESSAGES=MAX_MESSAGES,
)
_READ = load_script(
    __file__,
    *("cache_version", "cache_read"),
    WRITE_INTENT_SECONDS=WRITE_INTENT_SECONDS,
    MAX_MESSAGES=MAX_MESSAGES,
    TRUST_SECONDS=TRUST_SECONDS,
    BUSY_SECONDS=BUSY_SECONDS,
)
_CONFIRM = load_script(__file__, "cache_version", "cache_confirm")
_REFILL = load_script(
    __file__, "cache_version", "cache_refill", TTL_SECONDS=TTL_SECONDS, WRITE_INTENT_SECONDS=WRITE_INTENT_SECONDS
)
_SET_PARTICIPANT = load_script(
    __file__, "cache_version", "cache_advance_version", "cache_set_participant", TTL_SECONDS=TTL_SECONDS
)
_REMOVE_PARTICIPANTS = load_script(
    __file__, "cache_advance_version", "cache_remove_participants", TTL_SECONDS=TTL_SECONDS
)


class Verdict(StrEnum):
    """How far a reader may trust what the cache holds."""

    FRESH = "fresh"
    STALE = "stale"  # only if MySQL agrees with it
    BUSY = "busy"  # not at all, until the writers that are at it are done
    BROKEN = "broken"  # not at all


@dataclass(frozen=True, slots=True)
class MessagePage:
    """The newest messages of a conversation, newest first, as one participant sees them."""

    messages: Sequence[Message]
    last_seq: int
    participant: ParticipantState | None  # None for a principal who does not take part
    tenant_id: int
    version: str  # of the cache that the page was read from or stored in, "" without Redis


@dataclass(frozen=True, slots=True)
class CacheView:
    """What a reader found in the cache. The page of a broken one is empty.

    A page without participant does not decide whether the reader takes part: read MySQL.
    """

    verdict: str
    page: MessagePage
    server_time_ms: int  # Redis' clock when it was read
    changes: int = 0
    distrusted_until: float | None = None  # when this process ends its distrust of the cache; None if it trusts it


def prepare_write_intent(public_id: str) -> ScriptBatch:
    """Return the script that adds a write intent, to be run in the round trip that authenticates the writer."""
    name, keys = redis.generate_nonce(), build_keys(public_id)
    return ScriptBatch([(_ADD_WRITE_INTENT, keys, [name, 0])], undo=[(_REMOVE_WRITE_INTENT, keys, [name])])


def run_with_write_intent(public_id: str, work: Callable[[], T], batch: ScriptBatch | None = None) -> tuple[str, T]:
    """Run `work` under a write intent, which is removed if `work` certainly committed nothing.

    Args:
        batch: the result of `prepare_write_intent` for the same conversation.

    Returns:
        The name of the intent, which the caller removes with the script that publishes the change; and the result.
    """
    batch = batch or prepare_write_intent(public_id)
    batch.undo = []
    name = str(batch.calls[0][2][0])
    if not (batch.replies and batch.replies[0]):  # not added: it did not run, or there are too many
        add_write_intent(public_id, name)
    try:
        return name, work()
    except ApiError as error:
        if error.kind is not errors.UNAVAILABLE:  # then it may have committed: the intent makes readers use MySQL
            remove_write_intent(public_id, name)
        raise


def add_write_intent(public_id: str, name: str) -> None:
    """Record that an authenticated writer is about to commit."""
    redis.try_script(_ADD_WRITE_INTENT, build_keys(public_id), [name, 1])


def remove_write_intent(public_id: str, name: str) -> None:
    """Record that a writer committed nothing."""
    redis.try_script(_REMOVE_WRITE_INTENT, build_keys(public_id), [name], ignore_backoff=True)


def build_publish_call(public_id: str, intent_name: str, stored: StoredMessage, sender: str) -> ScriptCall:
    """Return the script that adds a committed message and removes its writer's intent. It is idempotent.

    Args:
        intent_name: of the writer's intent.
        sender: counts the message as its own; "" for a message that existed before this write.
    """
    message = stored.message
    arguments = [
        intent_name,
        message.seq,
        _format_record(message),
        stored.changes,
        int(stored.counts_as_change),
        sender,
    ]
    return _PUBLISH, build_keys(public_id), arguments


def build_read_call(public_id: str, limit: int, principal: str) -> ScriptCall:
    """Return the script whose reply `parse_view` takes."""
    return _READ, build_keys(public_id), [limit, principal, redis.generate_nonce()]


def parse_view(public_id: str, principal: str, reply: list[Any]) -> CacheView:
    """Parse the reply of `build_read_call`. A cache that this process distrusts is broken."""
    verdict, version, server_time_ms, *rest = reply
    distrusted_until, required_seq = _distrusted.get(public_id, (None, 0))
    is_distrusted = distrusted_until and distrusted_until > clock.monotonic()
    if not rest or (is_distrusted and int(rest[1]) < required_seq):
        empty = MessagePage((), 0, None, 0, version)
        broken = Verdict.BUSY if verdict == Verdict.BUSY else Verdict.BROKEN
        return CacheView(broken, empty, int(server_time_ms), distrusted_until=distrusted_until)
    tenant_id, last_seq, changes, read_seq, uncounted_after_read, hidden_seq, *records = rest
    participant = (
        ParticipantState(principal, int(read_seq), int(uncounted_after_read), int(hidden_seq)) if read_seq else None
    )
    # One call for all records: json.loads takes longer to start than to read a record.
    messages = tuple(map(Message._make, json.loads(f"[{','.join(records)}]")))
    page = MessagePage(messages, int(last_seq), participant, int(tenant_id), version)
    return CacheView(verdict, page, int(server_time_ms), int(changes))


def build_confirm_call(public_id: str, seen: CacheView, state: ParticipantState) -> ScriptCall:
    """Return the script that records that MySQL agrees with a view of the log and has this state.

    It replies with the cache's version, None if the cache has changed since.
    """
    arguments = [seen.page.version, seen.server_time_ms, *_format_state(state)]
    return _CONFIRM, build_keys(public_id), arguments


def build_refill_call(public_id: str, seen: CacheView, snapshot: Snapshot) -> ScriptCall:
    """Return the script that replaces the cache by what MySQL has.

    It replies with the cache's version, None if the cache has changed since it was seen.
    """
    states = [part for state in snapshot.participants for part in _format_state(state)]
    records = [part for message in snapshot.messages for part in (message.seq, _format_record(message))]
    head = [snapshot.tenant_id, snapshot.last_seq, snapshot.changes, len(snapshot.participants)]
    return _REFILL, build_keys(public_id), [seen.page.version, seen.server_time_ms, *head, *states, *records]


def set_participant(public_id: str, version: str, state: ParticipantState) -> None:
    """Store a participant's state that has changed in MySQL."""
    if not redis.try_script(*build_set_participant_call(public_id, version, state)):
        distrust(public_id)


def build_set_participant_call(public_id: str, version: str, state: ParticipantState) -> ScriptCall:
    """Return the script that `set_participant` runs, to be run with others."""
    return _SET_PARTICIPANT, build_keys(public_id), [version, redis.generate_nonce(), *_format_state(state)]


def build_remove_participants_call(public_id: str, intent_name: str, principals: list[str]) -> ScriptCall:
    """Return the script that removes the states of participants that joined or left, and that writer's intent."""
    return _REMOVE_PARTICIPANTS, build_keys(public_id), [intent_name, *principals]


# Conversations whose cache may lack what this process has learned from MySQL - Redis was out of reach, or its refill
# came too late - with the end of each distrust, and the seq from which on the cache can be used before. A reader in
# this process must not be shown less than before.
_distrusted: dict[str, tuple[float, float]] = {}  # oldest first
_lock = Lock()


def distrust(public_id: str, unless_seq: float = math.inf) -> None:
    """Use this cache only after a refill, or when every reader has compared it with MySQL anyway.

    Args:
        unless_seq: the cache can be used if it has all messages up to this one.
    """
    now = clock.monotonic()
    with _lock:
        until, required_seq = _distrusted.pop(public_id, (0.0, 0.0))
        _distrusted[public_id] = now + 2 * TRUST_SECONDS, max(unless_seq, required_seq if until > now else 0)
        while _distrusted[oldest := next(iter(_distrusted))][0] < now:
            del _distrusted[oldest]


def trust(public_id: str, seen: CacheView) -> None:
    """End the distrust, as Redis now holds what MySQL returned after this view; a distrust that is newer remains."""
    with _lock:
        if seen.distrusted_until and _distrusted.get(public_id, (None,))[0] == seen.distrusted_until:
            del _distrusted[public_id]


def build_keys(public_id: str) -> list[str]:
    """Return the keys of a conversation: state, messages, write intents."""
    prefix = f"log:{SCHEMA_VERSION}:{{{public_id}}}:"
    return [f"{prefix}state", f"{prefix}messages", f"{prefix}write_intents"]


def _format_record(message: Message) -> str:
    """Return the stored form of a message, which does not depend on protocol or reader."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _format_state(state: ParticipantState) -> tuple[str, int, int, int]:
    return state.principal, state.read_seq, state.uncounted_after_read, state.hidden_seq
