"""A conversation of Lin and Doctor Chen, and what happens in it, below any protocol."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import ids, log, reading, reading_store, store
from chalicelib.messaging.models import Message, NewMessage
from tests.support.factories import Hospital, Person

SendMessage = Callable[..., Message]


@pytest.fixture
def conversation(hospital: Hospital) -> str:
    public_id, members = ids.generate_public_id(), [hospital.lin.principal, hospital.chen.principal]
    mysql.run_transaction(lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, "direct", members, 1))
    return public_id


@pytest.fixture
def send_message(lin: Person, conversation: str) -> SendMessage:
    def say(text: str, who: Person = lin, key: str | None = None) -> Message:
        return log.append(who.tenant_id, "direct", conversation, who.principal, NewMessage(text, "t", key))

    return say


@pytest.fixture
def mysql_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the store's readings that took place."""
    seen: list[str] = []
    for name in ("snapshot", "snapshots", "head"):
        noted = partial(_record_call, seen, name, getattr(reading_store, name))
        monkeypatch.setattr(reading_store, name, noted)
    return seen


def _record_call(seen: list[str], name: str, real: Callable[..., Any], *arguments: Any) -> Any:
    seen.append(name)
    return real(*arguments)


@pytest.fixture
def cut_redis(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A context in which this process cannot reach Redis."""

    def refused(*_: Any) -> Any:
        raise redis.RedisUnavailableError("cut")

    def cut() -> Any:
        context = monkeypatch.context()
        patch = context.__enter__()
        patch.setattr(redis, "_call_driver", refused)
        return context

    return cut


def read_newest(conversation: str, who: Person, limit: int = 100) -> list[str]:
    """Read the newest page as its participant does, which moves the read position."""
    page, _ = reading.fetch_newest_page(conversation, who.principal, limit)
    reading.mark_read(conversation, page)
    return [message.content for message in page.messages]


def count_unread(conversation: str, who: Person) -> int:
    page = reading.fetch_newest_pages([conversation], who.principal)[conversation]
    assert page.participant
    return page.participant.count_unread(page.last_seq)


def build_redis_keys(conversation: str) -> list[str]:
    return [f"log:3:{{{conversation}}}:{part}" for part in ("state", "tail", "marks")]
