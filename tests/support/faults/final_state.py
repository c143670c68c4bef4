"""The state after a test: MySQL's rows, and whether every participant sees them."""

from collections.abc import Callable, Iterable, Iterator
from threading import Event
from time import monotonic

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import ids
from chalicelib.messaging.recent_cache import TRUST_SECONDS, WRITE_INTENT_SECONDS
from tests.support.conversation_log import build_redis_keys
from tests.support.faults.history_checker import StoredMessage
from tests.support.faults.participant import Participant, extract_messages


def list_stored(session_no: str) -> list[StoredMessage]:
    rows = mysql.autocommit.fetch_all(
        """
            SELECT m.seq, m.tick, m.tag, m.content, m.withdrawn_at
            FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id
            WHERE c.public_id = %(session_no)s ORDER BY m.seq
            """,
        session_no=session_no.encode(),
    )
    return [
        StoredMessage(row["seq"], ids.encode(row["tick"], row["tag"]), row["content"], row["withdrawn_at"] is not None)
        for row in rows
    ]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not condition():
        assert monotonic() < deadline
        Event().wait(0.01)


def is_row_lock_waiting() -> bool:
    """Return whether a transaction waits for a row lock."""
    waits = mysql.autocommit.fetch_one("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
    return waits is not None and waits["Value"] != "0"


def age_cache(session_no: str, seconds: int = TRUST_SECONDS + 1) -> None:
    """Let the last comparison of Redis with MySQL be so long ago."""
    state = build_redis_keys(session_no)[0]
    for field in redis.get_client().hkeys(state):
        if field.startswith("verified_at"):
            redis.get_client().hincrby(state, field, -seconds * 1000)


def age_write_intents(session_no: str) -> None:
    """Let every open write intent be a minute older."""
    write_intents = build_redis_keys(session_no)[2]
    for writer in redis.get_client().zrange(write_intents, 0, -1):
        redis.get_client().zincrby(write_intents, -(WRITE_INTENT_SECONDS + 1), writer)


def find_inconsistencies(sides: Iterable[Participant]) -> list[str]:
    """Read as every participant does and return differences from MySQL."""
    return [problem for side in sides for problem in find_participant_inconsistencies(side)]


def find_participant_inconsistencies(side: Participant) -> Iterator[str]:
    log = [(entry.id, "" if entry.withdrawn else entry.text) for entry in reversed(list_stored(side.session_no))]
    unread = count_unread(side)
    entry = next(one for one in side.list_sessions().data if one["session_no"] == side.session_no)
    if (entry["unread"], entry["last_msg_id"], entry["last_message"]) != (unread, *log[0]):
        yield f"{side.me.principal} is listed {entry}, but MySQL has {unread} unread and {log[0]}"
    if extract_messages(side.get_newest().data, side) != log[:1]:
        yield f"{side.me.principal} has another newest message"
    if list_history(side) != log:
        yield f"{side.me.principal} is shown another history"


def list_history(side: Participant) -> list[tuple[str, str]]:
    """Return the whole history, page by page."""
    shown = extract_messages(side.list_messages(100).data, side)
    while page := extract_messages(side.list_messages(100, msg_id=shown[-1][0]).data, side):
        shown += page
    return shown


def count_unread(side: Participant) -> int:
    """Return the unread count, counted from messages."""
    count: int = mysql.autocommit.fetch_value(
        """
            SELECT COUNT(*)
            FROM messages m
            JOIN conversations c ON c.conversation_id = m.conversation_id
            JOIN participants p ON p.conversation_id = m.conversation_id AND p.principal = %(principal)s
            WHERE c.public_id = %(session_no)s AND m.seq > p.read_seq AND m.sender <> p.principal
              AND m.withdrawn_at IS NULL
            """,
        session_no=side.session_no.encode(),
        principal=side.me.principal.encode(),
    )
    return count
