"""Fixtures and helpers for tests of the conversation log below any protocol: a conversation of Lin and Doctor Chen."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Row
from chalicelib.messaging import ids, log, read_positions, reading, reading_store, recent_cache, store
from chalicelib.messaging.models import ConversationKind, Message, NewMessage
from tests.support.factories import Hospital, Person

SendMessage = Callable[..., Message]


@pytest.fixture
def conversation(hospital: Hospital) -> str:
    """Return the public id of a new conversation of Lin and Doctor Chen."""
    public_id, members = ids.generate_public_id(), [hospital.lin.principal, hospital.chen.principal]
    mysql.run_transaction(
        lambda tx: store.create_conversation(tx, hospital.tenant_id, public_id, ConversationKind.DIRECT, members, 1)
    )
    return public_id


@pytest.fixture
def send_message(lin: Person, conversation: str) -> SendMessage:
    """Return a function that sends a message to the conversation, from Lin unless a sender is given."""

    def send(text: str, sender: Person = lin, key: str | None = None) -> Message:
        new = NewMessage(text, "t", key)
        return log.append(sender.tenant_id, ConversationKind.DIRECT, conversation, sender.principal, new)

    return send


@pytest.fixture
def mysql_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the store's read functions that are called from now on."""
    calls: list[str] = []
    for name in ("fetch_snapshot", "fetch_snapshots", "fetch_head"):
        monkeypatch.setattr(reading_store, name, partial(_record_call, calls, name, getattr(reading_store, name)))
    return calls


def _record_call(calls: list[str], name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    calls.append(name)
    return function(*arguments)


@pytest.fixture
def cut_redis(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes Redis unreachable for this process until the context it returns is exited."""

    def cut() -> Any:
        context = monkeypatch.context()
        patch = context.__enter__()
        patch.setattr(redis, "_call_driver", raise_redis_unavailable)
        return context

    return cut


def raise_redis_unavailable(*_: Any) -> Any:
    raise redis.RedisUnavailableError("cut")


def read_newest(conversation: str, reader: Person, limit: int = 100) -> list[str]:
    """Read the newest page as its participant does, which moves the read position; return its texts."""
    page, _ = reading.fetch_newest_page(conversation, reader.principal, limit)
    read_positions.mark_read(conversation, page)
    return [message.content for message in page.messages]


def count_unread(conversation: str, reader: Person) -> int:
    page = reading.fetch_newest_pages([conversation], reader.principal)[conversation]
    assert page.participant
    return page.participant.count_unread(page.last_seq)


def build_redis_keys(conversation: str) -> list[str]:
    """Return the keys of the conversation's recent-message cache: state, messages, write intents."""
    return recent_cache.build_keys(conversation)[:3]


def find_wrong_copies(tenant_id: int) -> list[Row]:
    """Return the participants whose rows differ from their conversations (messaging/listings.py)."""
    return mysql.autocommit.fetch_all(
        """
        SELECT c.public_id, p.principal, p.newest_seq, c.last_seq, p.active_tick, c.last_tick, p.archived, c.archived_at
        FROM participants p JOIN conversations c ON c.conversation_id = p.conversation_id
        WHERE p.tenant_id = %(tenant_id)s AND p.left_at IS NULL
          AND (p.newest_seq <> c.last_seq OR p.archived <> (c.archived_at IS NOT NULL)
               OR p.active_tick <> IF(c.last_seq = 0, (c.created_at DIV 1000) * 4096, c.last_tick))
        """,
        tenant_id=tenant_id,
    )
