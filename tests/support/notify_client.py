"""Listening over HTTP, as a client does."""

import json
from typing import Any

import pytest

from tests.support.client import ApiResponse, call
from tests.support.gateway_client import ExternalUser, create_conversation, join

NOTIFY_PATH = "/notify"


def poll(token: str, **query: Any) -> ApiResponse:
    return call("GET", NOTIFY_PATH, query={"token": token, "protoc": "poll", **query})


def poll_messages(token: str, limit: int = 100, **query: Any) -> tuple[list[Any], str, bool]:
    """Poll with a limit; return messages, cursor and gap."""
    data = poll(token, limit=limit, **query).data
    return data["Msg"], data["cursor"], data["gap"]


def list_contents(messages: list[Any]) -> list[str]:
    return [message["Content"] for message in messages]


def read_events(token: str, last_event: str = "", **query: Any) -> tuple[list[tuple[str, str, Any]], str]:
    """Return the events of one SSE response as a browser reads them: (type, id, data), and the last id."""
    headers = {"Last-Event-ID": last_event} if last_event else {}
    response = call("GET", NOTIFY_PATH, headers=headers, query={"token": token, "protoc": "sse", **query})
    assert response.headers["Content-Type"] == "text/event-stream"
    events, last = [], ""
    for block in response.content.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line)
        last = fields.get("id", last)
        if "data" in fields:
            events.append((fields.get("event", "message"), last, json.loads(fields["data"])))
    return events, last


@pytest.fixture
def conversation(guo: ExternalUser, han: ExternalUser) -> str:
    """Return a conversation that Guo created and Han joined, and to which both listen."""
    conversation = create_conversation(guo)
    assert join(han, conversation).status == 200
    for user in (guo, han):
        poll_messages(user.token)
    return conversation
