"""Listening over HTTP, as a page does."""

import json
from typing import Any

import pytest

from tests.support.client import Answer, call
from tests.support.gateway_client import ExternalUser, create_conversation, join

NOTIFY_PATH = "/notify"


def poll(token: str, **query: Any) -> Answer:
    return call("GET", NOTIFY_PATH, query={"token": token, "protoc": "poll", **query})


def poll_messages(token: str, limit: int = 100, **query: Any) -> tuple[list[Any], str, bool]:
    """Return what a poll for several brings: messages, cursor, gap."""
    data = poll(token, limit=limit, **query).data
    return data["Msg"], data["cursor"], data["gap"]


def list_contents(messages: list[Any]) -> list[str]:
    return [message["Content"] for message in messages]


def read_events(token: str, last_event: str = "", **query: Any) -> tuple[list[tuple[str, str, Any]], str]:
    """Return the events of one SSE answer as a browser reads them: (type, id, data), and the last id."""
    headers = {"Last-Event-ID": last_event} if last_event else {}
    answer = call("GET", NOTIFY_PATH, headers=headers, query={"token": token, "protoc": "sse", **query})
    assert answer.headers["Content-Type"] == "text/event-stream"
    events, last = [], ""
    for block in answer.content.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line)
        last = fields.get("id", last)
        if "data" in fields:
            events.append((fields.get("event", "message"), last, json.loads(fields["data"])))
    return events, last


@pytest.fixture
def conversation(guo: ExternalUser, han: ExternalUser) -> str:
    """Guo made it, Han joined, and both listen."""
    conversation = create_conversation(guo)
    assert join(han, conversation).status == 200
    for who in (guo, han):
        poll_messages(who.token)
    return conversation
