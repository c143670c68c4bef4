"""What a test needs to hold two things still at the moment where they meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import Call
from chalicelib.messaging import ids, reading, reading_store, recent_cache, recent_cache_scripts
from chalicelib.messaging.models import Snapshot
from tests.people import Person


@contextmanager
def another_process(patch: pytest.MonkeyPatch, cut: bool = False) -> Iterator[None]:
    """What is done here, this process has not seen; cut: it reaches MySQL alone."""
    with patch.context() as elsewhere:
        elsewhere.setattr(recent_cache, "_doubted", {}, raising=False)
        elsewhere.setattr(recent_cache, "_ahead", {}, raising=False)
        if cut:
            elsewhere.setattr(redis, "_call", refuse)
        yield


@contextmanager
def late_position(patch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """Read positions that are moved here come to MySQL alone; the calls that would have told Redis are yielded."""
    late: list[Call] = []
    reseating = recent_cache.reseating

    def held(*arguments: Any) -> Call:
        late.append(reseating(*arguments))
        return recent_cache_scripts.UNMARK, late[0][1], ["nobody"]

    with patch.context() as slow:
        slow.setattr(recent_cache, "reseating", held)
        yield late


def refuse(*_: Any) -> Any:
    raise redis.Down("cut")


def look(conversation: str, who: Person) -> recent_cache.View:
    call = recent_cache.reading(conversation, 100, who.principal, ids.nonce())
    return recent_cache.view(conversation, who.principal, redis.run(*call))


def in_mysql(conversation: str, who: Person) -> Snapshot:
    return mysql.autocommit(lambda tx: reading_store.snapshot(tx, conversation, who.principal, 200))


def newest(conversation: str, who: Person) -> list[str]:
    """The newest page, not counted as read."""
    page, _ = reading.newest(conversation, who.principal, 100)
    return [message.content for message in page.messages]


def listed(conversation: str, who: Person) -> bool:
    page = reading.heads([conversation], who.principal)[conversation]
    return bool(page.seat and page.last_seq > page.seat.hidden_seq)
