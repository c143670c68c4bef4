"""Helpers that produce one exact interleaving of two operations."""

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
    """Simulate another process: this one does not remember what is done here. cut: it cannot reach Redis."""
    with patch.context() as elsewhere:
        elsewhere.setattr(recent_cache, "_distrusted", {})
        elsewhere.setattr(redis, "_backoff_until", {})
        if cut:
            elsewhere.setattr(redis, "_call_driver", raise_redis_unavailable)
        yield


@contextmanager
def delay_read_positions(patch: pytest.MonkeyPatch) -> Iterator[list[ScriptCall]]:
    """Let read positions that are moved here reach MySQL alone; yield the calls that would have updated Redis."""
    late: list[ScriptCall] = []
    build_set_participant_call = recent_cache.build_set_participant_call

    def delay(*arguments: Any) -> ScriptCall:
        late.append(build_set_participant_call(*arguments))
        return recent_cache._REMOVE_WRITE_INTENT, late[0][1], ["none"]

    with patch.context() as slow:
        slow.setattr(recent_cache, "build_set_participant_call", delay)
        yield late


def read_cache_view(conversation: str, reader: Person) -> recent_cache.CacheView:
    call = recent_cache.build_read_call(conversation, 100, reader.principal)
    return recent_cache.parse_view(conversation, reader.principal, redis.run_script(*call))


def read_mysql_snapshot(conversation: str, reader: Person) -> Snapshot:
    return reading_store.fetch_snapshot(mysql.autocommit, conversation, reader.principal, 200)


def list_newest(conversation: str, reader: Person) -> list[str]:
    """Return the texts of the newest page without marking it as read."""
    page, _ = reading.fetch_newest_page(conversation, reader.principal, 100)
    return [message.content for message in page.messages]


def is_listed(conversation: str, reader: Person) -> bool:
    page = reading.fetch_newest_pages([conversation], reader.principal)[conversation]
    return bool(page.participant and page.last_seq > page.participant.hidden_seq)
