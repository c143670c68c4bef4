"""What a test needs to hold two things still at the moment where they meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import ScriptCall
from chalicelib.messaging import reading, reading_store, recent_cache
from chalicelib.messaging.models import Snapshot
from tests.support.conversation_log import raise_redis_unavailable
from tests.support.factories import Person


@contextmanager
def as_other_process(patch: pytest.MonkeyPatch, cut: bool = False) -> Iterator[None]:
    """What is done here, this process has not seen; cut: it reaches MySQL alone."""
    with patch.context() as elsewhere:
        elsewhere.setattr(recent_cache, "_distrusted_until", {})
        elsewhere.setattr(redis, "_backoff_until", {})
        if cut:
            elsewhere.setattr(redis, "_call_driver", raise_redis_unavailable)
        yield


@contextmanager
def delay_read_positions(patch: pytest.MonkeyPatch) -> Iterator[list[ScriptCall]]:
    """Read positions that are moved here come to MySQL alone; the calls that would have told Redis are yielded."""
    late: list[ScriptCall] = []
    reseating = recent_cache.build_set_participant_call

    def held(*arguments: Any) -> ScriptCall:
        late.append(reseating(*arguments))
        return recent_cache._REMOVE_WRITE_INTENT, late[0][1], ["nobody"]

    with patch.context() as slow:
        slow.setattr(recent_cache, "build_set_participant_call", held)
        yield late


def read_cache_view(conversation: str, who: Person) -> recent_cache.CacheView:
    call = recent_cache.build_read_call(conversation, 100, who.principal)
    return recent_cache.parse_view(conversation, who.principal, redis.run_script(*call))


def read_mysql_snapshot(conversation: str, who: Person) -> Snapshot:
    return reading_store.fetch_snapshot(mysql.autocommit, conversation, who.principal, 200)


def list_newest(conversation: str, who: Person) -> list[str]:
    """The newest page, not counted as read."""
    page, _ = reading.fetch_newest_page(conversation, who.principal, 100)
    return [message.content for message in page.messages]


def is_listed(conversation: str, who: Person) -> bool:
    page = reading.fetch_newest_pages([conversation], who.principal)[conversation]
    return bool(page.participant and page.last_seq > page.participant.hidden_seq)
